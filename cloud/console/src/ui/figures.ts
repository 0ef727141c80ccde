/** Figures as text: units always, a dash for what is not known. */

/** So many digits; what rounds to nothing has no sign. */
export function fixed(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text;
}

export function figure(value: number | undefined, unit: string, digits = 0): string {
  return value === undefined || !Number.isFinite(value) ? "–" : `${fixed(value, digits)} ${unit}`;
}

export function utc(date: Date): string {
  return `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

export function bytesText(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}
