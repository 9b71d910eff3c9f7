// The PIN, by keyboard or by fingers. Nothing typed here is kept anywhere else.

import { element } from "./dom.ts";

const LONGEST = 12;

export class PinPad {
  private readonly form = element("pin-form", HTMLFormElement);
  private readonly field = element("pin", HTMLInputElement);

  constructor(
    private readonly typed: (pin: string) => void,
    cancelled: () => void,
  ) {
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.form.addEventListener("keydown", (event) => event.key === "Escape" && cancelled());
    element("pin-cancel", HTMLButtonElement).addEventListener("click", cancelled);
    element("pin-erase", HTMLButtonElement).addEventListener("click", () => {
      this.field.value = this.field.value.slice(0, -1);
    });
    for (const key of this.form.querySelectorAll<HTMLButtonElement>("[data-digit]")) {
      key.addEventListener("click", () => {
        if (this.field.value.length < LONGEST) this.field.value += key.dataset["digit"] ?? "";
      });
    }
    // A page that the browser keeps for its back button keeps no PIN.
    addEventListener("pagehide", () => this.clear());
  }

  begin(): void {
    this.clear();
    this.form.setAttribute("aria-busy", "false");
    this.field.focus();
  }

  /** The gateway is being asked. */
  wait(): void {
    this.form.setAttribute("aria-busy", "true");
  }

  clear(): void {
    this.field.value = "";
  }

  private submit(): void {
    const pin = this.field.value;
    if (pin === "" || this.form.getAttribute("aria-busy") === "true") return;
    this.clear();
    this.typed(pin);
  }
}
