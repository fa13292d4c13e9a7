// Puts a variable at the caret of the field named in data-into.
(() => {
  "use strict";
  Levelhead.behaviour("variables", (box) => {
    const field = document.getElementById(box.dataset.into);
    box.addEventListener("click", (event) => {
      const button = event.target.closest("[data-variable]");
      if (!button) return;
      field.setRangeText(button.dataset.variable, field.selectionStart, field.selectionEnd, "end");
      field.focus();
    });
  });
})();
