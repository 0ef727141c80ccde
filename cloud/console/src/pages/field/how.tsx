/** A picture of how, one a button: lines only, so that it reads in the sun. */
import { type Call } from "./model";

export function How({ call }: { readonly call: Call }) {
  return (
    <figure aria-hidden="true">
      <svg viewBox="0 0 320 84">{PICTURES[call]}</svg>
    </figure>
  );
}

const CASE = "M0 18h48v28h-48z M0 26h48 M20 26v5h8v-5 M16 18v-5h16v5";

const PICTURES = {
  // The sealed case under the aircraft, and a person who steps back.
  dispatch: (
    <>
      <path d="M92 20h96 M104 20v-8 M176 20v-8 M82 12h44 M154 12h44 M126 20l-6 12h40l-6-12" />
      <path d={CASE} transform="translate(116 24)" />
      <path d="M60 76h160 M256 24a7 7 0 1 0 .1 0 M256 38v20 M246 48h20 M256 58l-8 16 M256 58l8 16 M286 48h24 m-8-6l8 6-8 6" />
    </>
  ),
  // The case opens, the arm stands at the table.
  "bring-up": (
    <>
      <path d="M40 44h48v28h-48z M40 44l-8-24h48l8 24" />
      <path d="M116 56h36 m-8-7l8 7-8 7" />
      <path d="M190 74h120 M206 74v-42h24l26 14 M256 46l10 18 M198 32h16 M280 74v-12h30" />
    </>
  ),
  // Kit, cable, edge box, two steady lights.
  pair: (
    <>
      <path d={CASE} transform="translate(44 20)" />
      <path d="M92 56c30 0 24-20 56-20s30 20 60 20" />
      <path d="M208 34h72v34h-72z M220 58h28" />
      <path d="M60 54a3 3 0 1 0 .1 0 M264 46a3 3 0 1 0 .1 0" />
    </>
  ),
} as const;
