// Keeps the unread count in the tab's title: "(3) Inbox · Harbour Dental".
(() => {
  "use strict";
  Levelhead.behaviour("unread-title", (badge) => {
    if (badge.id !== "unread-badge") return;
    const bare = document.title.replace(/^\(\d+\+?\) /, "");
    const count = Number(badge.dataset.unread || 0);
    document.title = count ? `(${count > 99 ? "99+" : count}) ${bare}` : bare;
  });
})();
