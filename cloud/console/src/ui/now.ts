/** The page's clock for figures: five times a second, so that they can be read. */
import { signal } from "@preact/signals";

const REFRESH_MS = 200;

export const nowMs = signal(performance.now());

setInterval(() => (nowMs.value = performance.now()), REFRESH_MS);
