/** Films of the visitor's own: dropped anywhere on the page, or chosen. */
import { element } from "./dom.js";

/** Calls `give` with files that were dropped or chosen. */
export function bindDrop(give: (files: File[]) => void): void {
  const input = element("drop-file", HTMLInputElement);
  const hint = element("drop-hint", HTMLElement);
  // Entering a child comes before leaving its parent.
  let depth = 0;
  const show = (change: number): void => {
    depth = Math.max(0, depth + change);
    hint.hidden = depth === 0;
  };
  input.addEventListener("change", () => {
    give([...(input.files ?? [])]);
    input.value = "";
  });
  addEventListener("dragenter", (event) => hasFiles(event) && show(1));
  addEventListener("dragleave", (event) => hasFiles(event) && show(-1));
  addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    show(-Infinity);
    give([...(event.dataTransfer?.files ?? [])]);
  });
}

function hasFiles({ dataTransfer }: DragEvent): boolean {
  return dataTransfer?.types.includes("Files") ?? false;
}
