// The drawer at the edge: opens when htmx has put something into it, closes by its buttons, Escape or a click beside it.
(() => {
  "use strict";

  Levelhead.behaviour("drawer", (drawer) => {
    const body = drawer.querySelector(".drawer-box");
    let opener = null;
    document.addEventListener("htmx:afterSwap", (event) => {
      if (event.detail.target !== body || !body.childElementCount || drawer.open) return;
      opener = document.activeElement;
      drawer.showModal();
    });
    drawer.addEventListener("click", (event) => {
      if (event.target === drawer || event.target.closest("[data-drawer-close]")) drawer.close();
    });
    drawer.addEventListener("close", () => {
      body.replaceChildren();
      if (opener && opener.isConnected) opener.focus();
    });
  });
})();
