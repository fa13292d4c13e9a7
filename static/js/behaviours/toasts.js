// Short messages that leave by themselves, wait while somebody points at them or has the focus inside, and can be undone.
// From the server: the toast_oob macro, or the header HX-Trigger: {"toast": {"text": "…", "kind": "success", "undo_url": "…"}}.
(() => {
  "use strict";
  const MOST = 4;

  const remove = (card) => {
    if (card.classList.contains("is-leaving")) return;
    card.classList.add("is-leaving");
    setTimeout(() => card.remove(), 180);
  };

  Levelhead.behaviour("toast", (card) => {
    if (!card.closest("#toasts")) return;
    const wait = Number(card.dataset.timeout || 0);
    let timer = 0;
    const start = () => {
      if (wait) timer = setTimeout(() => remove(card), wait);
    };
    const stop = () => clearTimeout(timer);
    for (const name of ["pointerenter", "focusin"]) card.addEventListener(name, stop);
    for (const name of ["pointerleave", "focusout"]) card.addEventListener(name, start);
    card.querySelector("[data-toast-close]").addEventListener("click", () => remove(card));
    card.addEventListener("htmx:afterRequest", (event) => {
      if (event.detail.successful) remove(card);
    });
    const others = [...card.parentElement.children].filter((other) => other !== card && other.dataset.timeout);
    others.slice(0, Math.max(0, others.length + 1 - MOST)).forEach(remove);
    start();
  });

  Levelhead.toast = (text, kind = "success", undoUrl = "") => {
    const region = document.getElementById("toasts");
    const same = [...region.children].find((card) => card.querySelector(".toast-text").textContent === text);
    if (same && !same.classList.contains("is-leaving")) return;
    const card = document.getElementById("toast-template").content.firstElementChild.cloneNode(true);
    card.className = `toast-card tone-${kind}`;
    card.querySelector(".toast-text").textContent = text;
    const use = card.querySelector("use");
    const icon = { success: "circle-check", info: "info-circle", warning: "alert-triangle" }[kind] || "alert-circle";
    use.setAttribute("href", use.getAttribute("href").replace(/#.*/, `#${icon}`));
    if (!undoUrl) card.dataset.timeout = "5000";
    if (kind === "danger") {
      delete card.dataset.timeout;
      card.setAttribute("role", "alert");
    }
    const undo = card.querySelector("[data-toast-undo]");
    if (undoUrl) {
      undo.action = undoUrl;
      undo.setAttribute("hx-post", undoUrl);
    } else undo.remove();
    region.append(card);
    if (undoUrl) htmx.process(card);
    Levelhead.mountIn(card);
  };

  document.addEventListener("toast", (event) => {
    const { text, value, kind, undo_url: undoUrl } = event.detail;
    Levelhead.toast(text || String(value || ""), kind, undoUrl);
  });
})();
