/** The way in: what the page waits for, or why it goes no further, in words that say what to do. */
import { type BootState } from "../link/boot";

export function NoPlace() {
  return (
    <main class="gate">
      <h1>Farhand</h1>
      <p>This address names no page. Open the link that you were given, whole: it ends with a # and a long text.</p>
    </main>
  );
}

export function Gate({ state, title }: { readonly state: BootState; readonly title: string }) {
  const { head, text, todo } = words(state);
  return (
    <main class="gate" role="status" data-boot={state.is}>
      <h1>{head ?? title}</h1>
      <p>{text}</p>
      {todo && <p class="quiet">{todo}</p>}
    </main>
  );
}

interface Words {
  readonly head?: string;
  readonly text: string;
  readonly todo?: string;
}

function words(state: BootState): Words {
  switch (state.is) {
    case "starting":
      return { text: "Making a key for this browser." };
    case "no-link":
      return {
        head: "This page needs its link",
        text: "The key is in the part of the link after the #, and this browser has not seen it.",
        todo: "Open the link again as you were given it, whole. If this browser never had it, ask for a new one.",
      };
    case "claiming":
      return { text: "Claiming your link.", ...trouble(state.trouble) };
    case "failed":
      return FAILED[state.code] ?? { head: "This can't go on", text: state.message, todo: "Reload the page to try again." };
    case "untrusted":
      return {
        head: "This session is not what your link says",
        text: `${state.why.charAt(0).toUpperCase()}${state.why.slice(1)}.`,
        todo: "Nothing was connected. Tell whoever gave you the link: the server or the ledger is not the one it was made for.",
      };
    case "not-open":
      return {
        head: "The session is not open yet",
        text: `You are ${state.claimed.pseudonym || "known"}. The session opens when the kit has arrived and is paired.`,
        todo: state.trouble ?? "This page goes on by itself.",
      };
    case "ready":
      return { text: "Ready." };
  }
}

function trouble(text: string | undefined): { todo?: string } {
  return text === undefined ? {} : { todo: `${text} Trying again.` };
}

const FAILED: Readonly<Record<string, Words>> = {
  "link-used": {
    head: "This link was already used",
    text: "It was opened in another browser first, and belongs to that one.",
    todo: "Go on there, or ask for a new link.",
  },
  "other-tab": {
    head: "This page is open in another tab",
    text: "Two tabs with one key would contradict each other.",
    todo: "Go on there, or close it and reload this one.",
  },
  "link-expired": { head: "This link has expired", text: "It was not opened in time.", todo: "Ask for a new one." },
  "link-unknown": { head: "This link is not known here", text: "The server has no such link.", todo: "Check that it was copied whole, or ask for a new one." },
  "link-signature": {
    head: "This link's key does not fit",
    text: "The part after the # is not the one that belongs to this link.",
    todo: "Check that it was copied whole, or ask for a new one.",
  },
};
