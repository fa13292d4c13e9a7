// Places a popover menu beside its button and moves through it with the arrow keys. Opening, closing by Escape or a click
// elsewhere, and the return of the focus are the browser's own. Position goes through the CSSOM, which the CSP allows.
(() => {
  "use strict";
  const GAP = 4;
  const EDGE = 8;

  const place = (button, menu) => {
    const at = button.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = menu;
    const left = button.dataset.align === "start" ? at.left : at.right - width;
    const below = at.bottom + GAP;
    const top = below + height > innerHeight - EDGE && at.top - GAP - height > EDGE ? at.top - GAP - height : below;
    menu.style.left = `${Math.max(EDGE, Math.min(left, innerWidth - width - EDGE))}px`;
    menu.style.top = `${Math.max(EDGE, Math.min(top, innerHeight - height - EDGE))}px`;
  };

  const items = (menu) => [...menu.querySelectorAll(".menu-item, input")].filter((item) => !item.disabled && item.offsetParent !== null);

  const move = (menu, step) => {
    const all = items(menu);
    const now = all.indexOf(document.activeElement);
    const next = step === "first" ? 0 : step === "last" ? all.length - 1 : (now + step + all.length) % all.length;
    if (all[next]) all[next].focus();
  };

  Levelhead.behaviour("menu", (button) => {
    const menu = document.getElementById(button.getAttribute("popovertarget"));
    if (!menu) return;
    let byKeyboard = false;
    button.addEventListener("click", (event) => {
      if (menu.matches(":popover-open")) return;
      // Opened here rather than by the browser, so that it is in its place before the first paint.
      event.preventDefault();
      menu.showPopover({ source: button });
      place(button, menu);
      byKeyboard = event.detail === 0;
      if (byKeyboard) move(menu, "first");
    });
    button.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown" || menu.matches(":popover-open")) return;
      event.preventDefault();
      button.click();
    });
    menu.addEventListener("keydown", (event) => {
      if (event.target.type === "radio") return;
      const step = { ArrowDown: 1, ArrowUp: -1, Home: "first", End: "last" }[event.key];
      if (!step) return;
      event.preventDefault();
      move(menu, step);
    });
    menu.addEventListener("click", (event) => {
      if (event.target.closest(".menu-item")) menu.hidePopover();
    });
  });
})();
