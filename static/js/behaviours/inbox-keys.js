// The inbox by keyboard. An element names its key in data-key: a field takes the focus, a radio is chosen, everything else
// is clicked. j, k and x move through the list. Also here: dialogs opened by data-dialog, and pictures in full size.
(() => {
  "use strict";
  const typing = (element) => element.closest("textarea, select, [contenteditable], input:not([type=checkbox]):not([type=radio])");
  const overlay = () => document.querySelector("dialog[open], [popover]:popover-open:not(.sidebar)");
  const visible = (element) => element.getClientRects().length > 0;

  const rows = () => [...document.querySelectorAll("#talks .talk-link")];

  const move = (step) => {
    const all = rows();
    if (!all.length) return;
    const focused = all.indexOf(document.activeElement);
    const open = all.findIndex((row) => row.hasAttribute("aria-current"));
    const from = focused >= 0 ? focused : open;
    const next = all[Math.max(0, Math.min(all.length - 1, from < 0 ? 0 : from + step))];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  };

  const pick = () => {
    const row = rows().find((link) => link === document.activeElement) || rows().find((link) => link.hasAttribute("aria-current"));
    const box = row && row.closest(".talk").querySelector(".talk-pick input");
    if (box) box.click();
  };

  const press = (key) => {
    const element = [...document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)].find((one) => visible(one) || one.type === "radio");
    if (!element) return false;
    if (element.type === "radio") {
      element.checked = true;
      element.dispatchEvent(new Event("change", { bubbles: true }));
      document.getElementById("composer-body").focus();
    } else if (element.matches("input, textarea")) {
      element.focus();
      element.select();
    } else element.click();
    return true;
  };

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !overlay()) {
      if (typing(event.target)) event.target.blur();
      else document.querySelectorAll(".list-pane").forEach((pane) => pane.dispatchEvent(new Event("inbox-escape")));
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || typing(event.target) || overlay()) return;
    if (event.key === "j" || event.key === "ArrowDown" && rows().includes(event.target)) move(1);
    else if (event.key === "k" || event.key === "ArrowUp" && rows().includes(event.target)) move(-1);
    else if (event.key === "x") pick();
    else if (!press(event.key)) return;
    event.preventDefault();
  });

  document.addEventListener("click", (event) => {
    const close = event.target.closest("[data-dialog-close]");
    if (close) return close.closest("dialog").close();
    if (event.target.matches("dialog.picture-dialog")) return event.target.close();
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    const picture = event.target.closest("[data-picture]");
    const opener = event.target.closest("[data-dialog]");
    if (picture) {
      const dialog = document.getElementById("picture");
      const image = dialog.querySelector("img");
      image.src = picture.href;
      image.alt = picture.dataset.picture;
      event.preventDefault();
      dialog.showModal();
    } else if (opener) {
      const dialog = document.getElementById(opener.dataset.dialog);
      if (!dialog) return;
      event.preventDefault();
      if (!dialog.open) dialog.showModal();
      dialog.querySelectorAll("[hx-trigger*=dialog-opened]").forEach((field) => htmx.trigger(field, "dialog-opened"));
    }
  });
})();
