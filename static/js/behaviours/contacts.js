// The contact list by keyboard: / searches, j and k move, Enter opens, x chooses, n makes a new one. Also "choose all" and
// the number of chosen rows. The rows are swapped by htmx, so everything is looked up when it is needed.
(() => {
  "use strict";

  const isTyping = (element) =>
    element.isContentEditable || ["TEXTAREA", "SELECT"].includes(element.tagName) || (element.tagName === "INPUT" && element.type !== "checkbox");

  Levelhead.behaviour("contacts", (page) => {
    const rows = () => [...page.querySelectorAll("[data-row]")];
    const boxes = () => [...page.querySelectorAll("[data-row] input[type=checkbox]")];

    const count = () => {
      const all = boxes();
      const chosen = all.filter((box) => box.checked).length;
      const label = page.querySelector("[data-chosen-count]");
      if (label) label.textContent = `${chosen} chosen`;
      const every = page.querySelector("[data-check-all]");
      if (!every) return;
      every.checked = chosen > 0 && chosen === all.length;
      every.indeterminate = chosen > 0 && chosen < all.length;
    };

    page.addEventListener("change", (event) => {
      if (event.target.matches("[data-check-all]")) boxes().forEach((box) => (box.checked = event.target.checked));
      count();
    });

    const move = (step) => {
      const all = rows();
      if (!all.length) return;
      const at = all.indexOf(document.activeElement.closest("[data-row]"));
      const next = all[at < 0 ? 0 : Math.min(Math.max(at + step, 0), all.length - 1)];
      const link = next.querySelector(".row-link");
      link.focus({ preventScroll: true });
      next.scrollIntoView({ block: "nearest" });
    };

    const choose = () => {
      const row = document.activeElement.closest("[data-row]");
      if (row) row.querySelector("input[type=checkbox]").click();
    };

    const search = () => {
      const input = document.getElementById("contacts-q");
      input.focus();
      input.select();
    };

    const keys = {
      "/": search,
      j: () => move(1),
      k: () => move(-1),
      x: choose,
      n: () => document.getElementById("contact-new").click(),
    };

    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (event.key === "Escape" && event.target.id === "contacts-q") return event.target.blur();
      if (isTyping(event.target) || document.querySelector("dialog[open], [popover]:popover-open")) return;
      const run = keys[event.key];
      if (!run) return;
      event.preventDefault();
      run();
    });
  });
})();
