// Copies data-copy and says so. Without a secure context there is no clipboard API: then the older way is taken.
(() => {
  "use strict";
  const write = async (text) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const field = document.createElement("textarea");
    field.value = text;
    field.className = "visually-hidden";
    document.body.append(field);
    field.select();
    const copied = document.execCommand("copy");
    field.remove();
    if (!copied) throw new Error("copy refused");
  };

  Levelhead.behaviour("copy", (button) => {
    button.addEventListener("click", async () => {
      try {
        await write(button.dataset.copy);
        button.classList.add("is-done");
        setTimeout(() => button.classList.remove("is-done"), 1500);
        Levelhead.toast("Copied");
      } catch {
        Levelhead.toast("The browser did not allow copying. Select the text and copy it by hand.", "warning");
      }
    });
  });
})();
