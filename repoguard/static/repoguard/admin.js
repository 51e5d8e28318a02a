// Copy buttons: <button data-copy="id of the input">
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  const label = button.querySelector("span:last-child") || button;
  const said = (text) => { const was = label.textContent; label.textContent = text; setTimeout(() => { label.textContent = was; }, 1500); };
  const text = source.value !== undefined ? source.value : source.textContent;
  const select = () => {
    // without HTTPS browsers offer no clipboard: select it and let the browser copy the selection
    if (source.select) source.select(); else window.getSelection().selectAllChildren(source);
    said(document.execCommand("copy") ? "Copied" : "Press Ctrl+C");
  };
  if (navigator.clipboard && window.isSecureContext) navigator.clipboard.writeText(text).then(() => said("Copied"), select);
  else select();
});
// What was made is shown in the answer to its form: reloading that page opens the object, and doesn't send the form a second time
document.addEventListener("DOMContentLoaded", () => {
  const made = document.querySelector("[data-made]");
  if (made) history.replaceState(null, "", made.dataset.made);
});
// Live parts poll every second or two; a page that is not looked at asks less
document.addEventListener("htmx:configRequest", (event) => {
  if (document.hidden && event.detail.elt.hasAttribute("data-live")) event.preventDefault();
});
// Fields that go with a choice are shown only while it is chosen: data-only-if names its field, data-only-if-values what fits
const showConditional = () => {
  document.querySelectorAll("[data-only-if]").forEach((input) => {
    const choice = document.querySelector(`[name="${input.dataset.onlyIf}"]`);
    const row = input.closest(".rg-form-row, .form-row, .field-row") || input.parentElement;
    const fits = !choice || (choice.closest("[data-unneeded]") === null && input.dataset.onlyIfValues.split(" ").includes(choice.value));
    row.toggleAttribute("data-unneeded", !fits && !row.querySelector(".errorlist, .text-red-600"));
  });
};
document.addEventListener("DOMContentLoaded", showConditional);
document.addEventListener("change", (event) => { if (event.target.matches("select")) showConditional(); });
