/** One link, one tab: two tabs with one session key would sign two chains and answer each other's grants. */

/** A page that is loaded again waits this long for the one before to be gone. */
const WAIT_MS = 2000;

/** Whether this tab has the link now; it keeps it until it is closed. Without Web Locks nobody can tell. */
export function claimTab(link: string): Promise<boolean> {
  if (!("locks" in navigator)) return Promise.resolve(true);
  return new Promise((resolve) => {
    const held = navigator.locks.request(`farhand ${link}`, { signal: AbortSignal.timeout(WAIT_MS) }, () => {
      resolve(true);
      // Held as long as the page is there.
      return new Promise<void>(() => undefined);
    });
    held.catch((error: unknown) => resolve(!(error instanceof DOMException && error.name === "TimeoutError")));
  });
}
