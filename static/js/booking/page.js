// The public pages, made a little nicer: the visitor's own zone, no second click on "Book", news of the height in a frame.
// Nothing here is needed: every step is a link or a form that works without it.
(() => {
  "use strict";
  document.documentElement.classList.add("js");

  const show = (url) => {
    history.replaceState(history.state, "", url);
    htmx.ajax("GET", url.pathname + url.search, { target: "#picker", swap: "outerHTML" });
  };

  const zoneForm = document.querySelector("[data-zone]");
  if (zoneForm) {
    const select = zoneForm.elements.zone;
    const change = (zone) => {
      const url = new URL(location.href);
      url.searchParams.set("zone", zone);
      show(url);
    };
    select.addEventListener("change", () => change(select.value));
    const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const known = own && [...select.options].some((option) => option.value === own);
    if ("detect" in zoneForm.dataset && known && own !== zoneForm.dataset.zone) {
      select.value = own;
      change(own);
    }
  }

  document.querySelectorAll("form[data-auto-submit]:not([data-zone])").forEach((form) => {
    form.addEventListener("change", () => {
      const url = new URL(location.href);
      new FormData(form).forEach((value, name) => (value ? url.searchParams.set(name, value) : url.searchParams.delete(name)));
      location.assign(url);
    });
  });

  // The server takes a form once however often it comes; the button says so.
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("[data-once]");
    if (!form) return;
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "1";
    const button = event.submitter;
    if (button) {
      button.setAttribute("aria-disabled", "true");
      button.textContent = "One moment…";
    }
  });
  addEventListener("pageshow", (event) => event.persisted && location.reload());

  if (window.parent !== window && document.body.classList.contains("is-embedded")) {
    const tell = () => window.parent.postMessage({ levelhead: "height", height: document.body.offsetHeight }, "*");
    new ResizeObserver(tell).observe(document.body);
    tell();
  }
})();
