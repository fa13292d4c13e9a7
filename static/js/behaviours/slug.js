// The suggestion for the part of the address never takes the place of what was typed while it was on its way. Whoever is in
// the field already finds it selected, as after Tab, so that letters replace it.
"use strict";
Levelhead.behaviour("slug", (form) => {
  const field = () => form.querySelector("#slug-field input:not([type=hidden])");
  let asked = "";
  form.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.target.id === "slug-field") asked = field().value;
  });
  form.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target.id === "slug-field" && field().value !== asked) event.detail.shouldSwap = false;
  });
  form.addEventListener("htmx:afterSettle", () => {
    const input = field();
    if (document.activeElement === input && input.value !== asked) input.select();
  });
});
