// Asks before a form is sent, a link followed or an htmx request made. On the element: data-behaviour="confirm",
// data-confirm-title, data-confirm-text, data-confirm-action (the button), data-confirm-kind (danger or primary).
(() => {
  "use strict";
  const agreed = new WeakSet();

  const ask = (element, go) => {
    const dialog = document.getElementById("confirm");
    const { confirmTitle, confirmText, confirmAction, confirmKind } = element.dataset;
    dialog.querySelector("#confirm-title").textContent = confirmTitle || "Are you sure?";
    const text = dialog.querySelector("#confirm-text");
    text.textContent = confirmText || "";
    text.hidden = !confirmText;
    const button = dialog.querySelector("#confirm-go");
    button.firstElementChild.textContent = confirmAction || "Go on";
    button.className = `button button-${confirmKind || "danger"}`;
    dialog.returnValue = "";
    dialog.addEventListener("close", () => dialog.returnValue === "go" && go(), { once: true });
    dialog.showModal();
  };

  const guard = (element, eventName, again) => {
    element.addEventListener(
      eventName,
      (event) => {
        if (agreed.delete(element)) return;
        event.preventDefault();
        event.stopImmediatePropagation();
        const submitter = event.submitter;
        ask(element, () => {
          agreed.add(element);
          again(submitter);
        });
      },
      { capture: true },
    );
  };

  // Elements that are neither form nor link make their request only through htmx, which asks here first.
  const guardRequest = (element) => {
    element.addEventListener("htmx:confirm", (event) => {
      if (event.target !== element) return;
      event.preventDefault();
      ask(element, () => event.detail.issueRequest(true));
    });
  };

  Levelhead.behaviour("confirm", (element) => {
    if (element.tagName === "FORM") guard(element, "submit", (submitter) => element.requestSubmit(submitter));
    else if (element.tagName === "A" || element.form) guard(element, "click", () => element.click());
    else guardRequest(element);
  });

  // A click on the backdrop closes the dialog, as people expect of it.
  document.addEventListener("click", (event) => {
    if (event.target.matches && event.target.matches("dialog.dialog")) event.target.close("cancel");
  });
})();
