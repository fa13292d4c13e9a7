// Hides a banner for a day. The cookie "dismissed" holds the keys, so the server leaves the banner out and nothing jumps;
// it comes back tomorrow if its reason is still there, or at once under a new key.
(() => {
  "use strict";
  const DAY_S = 86400;
  const MOST = 20;

  Levelhead.behaviour("dismiss", (banner) => {
    banner.querySelector("[data-dismiss]").addEventListener("click", () => {
      const before = (/(?:^|; )dismissed=([^;]*)/.exec(document.cookie) || [])[1] || "";
      const keys = before.split(".").filter((key) => key && key !== banner.dataset.dismissKey);
      keys.push(banner.dataset.dismissKey);
      const secure = location.protocol === "https:" ? "; secure" : "";
      document.cookie = `dismissed=${keys.slice(-MOST).join(".")}; path=/; max-age=${DAY_S}; samesite=lax${secure}`;
      banner.remove();
    });
  });
})();
