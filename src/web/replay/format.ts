// Times as people read them.

import type { Language } from "../page/words.ts";

/** Microseconds as hours, minutes and seconds. */
export function clock(micros: number): string {
  const seconds = Math.max(0, Math.floor(micros / 1e6));
  const two = (number: number): string => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

export function when(unixMillis: number, language: Language): string {
  return new Date(unixMillis).toLocaleString(language, { dateStyle: "medium", timeStyle: "medium" });
}
