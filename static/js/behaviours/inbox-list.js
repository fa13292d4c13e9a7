// The list pane: what the list sends with its polls, which row is open, and the selection with its bar.
(() => {
  "use strict";
  Levelhead.behaviour("inbox-list", (pane) => {
    const list = () => document.getElementById("inbox-list");
    const bar = document.getElementById("bulk-bar");
    const all = document.getElementById("pick-all");
    const boxes = () => [...pane.querySelectorAll(".talk-pick input")];
    const picked = new Set();
    let last = null;

    const openId = () => {
      const open = document.querySelector("[data-conversation]");
      return open ? open.dataset.conversation : "";
    };

    const markOpen = () => {
      const id = openId();
      pane.querySelectorAll(".talk-link").forEach((link) => {
        if (link.id === `open-${id}`) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      });
    };

    const showPicked = () => {
      const shown = boxes();
      const ids = new Set(shown.map((box) => box.value));
      [...picked].forEach((id) => ids.has(id) || picked.delete(id));
      shown.forEach((box) => (box.checked = picked.has(box.value)));
      bar.hidden = picked.size === 0;
      pane.classList.toggle("is-picking", picked.size > 0);
      bar.querySelector(".bulk-count").textContent = picked.size ? `${picked.size} selected` : "";
      all.checked = picked.size > 0 && picked.size === shown.length;
      all.indeterminate = picked.size > 0 && picked.size < shown.length;
    };

    const pick = (box, on) => (on ? picked.add(box.value) : picked.delete(box.value));

    pane.addEventListener("click", (event) => {
      const box = event.target.closest(".talk-pick input");
      if (!box) return;
      const shown = boxes();
      if (event.shiftKey && last && shown.includes(last)) {
        const [from, to] = [shown.indexOf(last), shown.indexOf(box)].sort((a, b) => a - b);
        shown.slice(from, to + 1).forEach((one) => pick(one, box.checked));
      } else pick(box, box.checked);
      last = box;
      showPicked();
    });
    all.addEventListener("change", () => {
      boxes().forEach((box) => pick(box, all.checked));
      showPicked();
    });
    const clear = () => {
      picked.clear();
      showPicked();
    };
    document.getElementById("pick-none").addEventListener("click", clear);
    document.addEventListener("selection-done", clear);
    pane.addEventListener("inbox-escape", clear);

    // A poll asks about as many rows as are shown, and says which version it has and which conversation is open.
    document.addEventListener("htmx:configRequest", (event) => {
      const { elt, parameters, triggeringEvent } = event.detail;
      if (!list() || !list().contains(elt) && elt.id !== "inbox-search") return;
      if (event.detail.verb !== "get" || elt.classList.contains("talk-link")) return;
      parameters.open = openId();
      if (elt !== list()) return;
      parameters.shown = boxes().length;
      if (triggeringEvent && triggeringEvent.type === "every-tick") parameters.digest = list().dataset.digest;
    });

    document.addEventListener("htmx:afterSettle", (event) => {
      const target = event.detail.target;
      if (!target) return;
      if (target.id === "conversation") markOpen();
      if (pane.contains(target) || target.id === "inbox-list") {
        markOpen();
        showPicked();
      }
    });

    // The row shows at once that it is being opened.
    pane.addEventListener("htmx:beforeRequest", (event) => {
      if (!event.target.classList.contains("talk-link")) return;
      pane.querySelectorAll(".talk-link[aria-current]").forEach((link) => link.removeAttribute("aria-current"));
      event.target.setAttribute("aria-current", "true");
    });
    showPicked();
  });
})();
