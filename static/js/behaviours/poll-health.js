// Says that the connection is lost when two polls in a row fail or the browser is offline, and that it is back.
// A poll is an element whose hx-trigger holds "every".
(() => {
  "use strict";
  const TOLERATED = 1;

  Levelhead.behaviour("poll-health", (notice) => {
    let failures = 0;
    const set = (lost) => {
      if (notice.hidden === !lost) return;
      notice.hidden = !lost;
      if (!lost) Levelhead.toast("Back online");
    };
    const fail = (event) => {
      if (!Levelhead.isPoll(event.detail.elt)) return;
      failures += 1;
      if (failures > TOLERATED) set(true);
    };
    document.addEventListener("htmx:sendError", fail);
    document.addEventListener("htmx:timeout", fail);
    document.addEventListener("htmx:responseError", (event) => event.detail.xhr.status >= 500 && fail(event));
    document.addEventListener("htmx:afterRequest", (event) => {
      if (!event.detail.successful) return;
      failures = 0;
      set(false);
    });
    addEventListener("offline", () => set(true));
    addEventListener("online", () => {
      failures = 0;
      set(false);
    });
  });
})();
