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
    if (source.select) source.select();
    said(document.execCommand("copy") ? "Copied" : "Press Ctrl+C");
  };
  if (navigator.clipboard && window.isSecureContext) navigator.clipboard.writeText(text).then(() => said("Copied"), select);
  else select();
});
// Live parts poll every second or two; a page that is not looked at asks less
document.addEventListener("htmx:configRequest", (event) => {
  if (document.hidden && event.detail.elt.hasAttribute("data-live")) event.preventDefault();
});
