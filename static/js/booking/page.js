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
    // The server knows every zone, also by names that are not offered (browsers say Asia/Calcutta); what it shows is chosen.
    document.addEventListener("htmx:afterSwap", () => {
      const shown = document.getElementById("picker").dataset;
      if (![...select.options].some((option) => option.value === shown.zoneName)) select.add(new Option("", shown.zoneName), 0);
      select.value = shown.zoneName;
      select.selectedOptions[0].text = shown.zoneLabel;
    });
    const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if ("detect" in zoneForm.dataset && own && own !== zoneForm.dataset.zone) change(own);
  }

  document.querySelectorAll("form[data-auto-submit]:not([data-zone])").forEach((form) => {
    form.addEventListener("change", () => {
      const url = new URL(location.href);
      // What else is chosen stands in the address; the form's hidden fields are as old as the page.
      form.querySelectorAll("select").forEach(({ name, value }) => (value ? url.searchParams.set(name, value) : url.searchParams.delete(name)));
      location.assign(url);
    });
  });

  // What was typed is there again when somebody goes back for another time; in this tab only, and until it is booked.
  const KEPT = `booking ${location.pathname}`;
  const tab = (deed) => {
    try {
      return deed(sessionStorage);
    } catch {
      return null; // A frame on another site may have no storage.
    }
  };
  const details = document.getElementById("details");
  if (details) {
    const fields = () => [...details.elements].filter((field) => field.name && !["hidden", "submit", "checkbox"].includes(field.type) && !field.closest(".trap"));
    const typed = JSON.parse(tab((store) => store.getItem(KEPT)) || "{}");
    fields().forEach((field) => {
      if (field.type === "radio") field.checked ||= typed[field.name] === field.value && !details.querySelector(`[name="${field.name}"]:checked`);
      else if (!field.value && typed[field.name]) field.value = typed[field.name];
    });
    details.addEventListener("input", () => {
      const now = Object.fromEntries(fields().filter((field) => field.type !== "radio" || field.checked).map((field) => [field.name, field.value]));
      tab((store) => store.setItem(KEPT, JSON.stringify(now)));
    });
  } else if (document.querySelector(".done-head")) {
    tab((store) => Object.keys(store).filter((key) => key.startsWith("booking ")).forEach((key) => store.removeItem(key)));
  }

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
