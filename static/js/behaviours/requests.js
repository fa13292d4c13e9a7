// A thin line for requests slower than 300 ms, and a sentence when something a person did fails.
// Polls stay silent here: poll-health.js watches them.
(() => {
  "use strict";
  const SLOW_MS = 300;
  const running = new Map();

  const isPoll = (element) => /\bevery\b/.test((element && element.getAttribute("hx-trigger")) || "");
  Levelhead.isPoll = isPoll;

  const show = () => {
    const line = document.getElementById("request-line");
    if (line) line.hidden = ![...running.values()].some((entry) => entry.slow);
  };

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (isPoll(event.detail.elt)) return;
    const entry = { slow: false };
    entry.timer = setTimeout(() => {
      entry.slow = true;
      show();
    }, SLOW_MS);
    running.set(event.detail.xhr, entry);
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    const entry = running.get(event.detail.xhr);
    if (!entry) return;
    clearTimeout(entry.timer);
    running.delete(event.detail.xhr);
    show();
  });

  const SENTENCES = {
    400: "The page was open too long. Reload it and try again.",
    401: "You have been signed out. Reload the page to sign in again.",
    403: "You do not have access to that.",
    404: "That is no longer there. Somebody may have removed it.",
    409: "Somebody else changed this in the meantime. Reload to see the latest.",
    413: "That file is too large.",
    429: "That was a little fast. Wait a moment and try again.",
    503: "A part of the system is not reachable just now. Try again shortly.",
  };

  document.addEventListener("htmx:responseError", (event) => {
    if (isPoll(event.detail.elt)) return;
    // The server's own words are better.
    if ((event.detail.xhr.getResponseHeader("HX-Trigger") || "").includes("toast")) return;
    const text = SENTENCES[event.detail.xhr.status] || "That did not work, and it has been noted. Please try again.";
    Levelhead.toast(text, "danger");
  });

  const unreachable = (event) => {
    if (!isPoll(event.detail.elt)) Levelhead.toast("Could not reach the server. Check the connection and try again.", "danger");
  };
  document.addEventListener("htmx:sendError", unreachable);
  document.addEventListener("htmx:timeout", unreachable);
})();
