/** What happened, entry by entry, and the proof of the one that is chosen: made and checked on this device. */
import { useEffect, useState } from "preact/hooks";
import { type Happened } from "../../bundle/index";
import { type LeafProof, proveLeaf } from "../../bundle/proof";
import { type Source } from "../../bundle/source";
import { inWords } from "../../trust/proof";
import { type TrustRoot } from "../../trust/root";
import { toHex } from "../../wire/bytes";
import { type Marks } from "./marks";
import { type Replay } from "./replay";
import { type Field, fieldsOf, who } from "./say";
import { Facts } from "./screen";

const ROWS = 60;

interface Props {
  readonly replay: Replay;
  readonly source: Source;
  readonly trust: TrustRoot;
  /** Whether the trust root is the auditor's own. */
  readonly trusted: boolean;
  /** Of what an export leaves out; `undefined`: nothing is exported from here. */
  readonly marks: Marks | undefined;
}

export function Entries(props: Props) {
  const { replay, marks } = props;
  const [all, setAll] = useState(false);
  const [chosen, setChosen] = useState<number | undefined>(undefined);
  const rows = all ? every(replay) : happened(replay);
  const choose = (leaf: number) => {
    replay.toLeaf(leaf);
    setChosen(leaf);
  };
  return (
    <div class="entries">
      <section aria-label="Entries">
        <h2>
          Entries around this moment
          <span class="end">
            <label>
              <input type="checkbox" checked={all} onChange={() => setAll(!all)} /> all, commands and frames too
            </label>
          </span>
        </h2>
        <ol>
          {rows.map(({ leaf, lane, what }, i) => (
            <li key={`${leaf} ${i}`} data-now={leaf <= replay.leaf.value} data-out={marks?.out.value[leaf] === 1}>
              {marks && <Leave leaf={leaf} marks={marks} />}
              <button type="button" class="plain" aria-pressed={leaf === chosen} onClick={() => choose(leaf)}>
                <span class="mono">{leaf.toLocaleString("en-GB")}</span>
                <span class="mono">{clock(replay.index.utcUs[leaf] ?? 0)}</span>
                <span>{lane}</span>
                <span>{what}</span>
              </button>
            </li>
          ))}
        </ol>
      </section>
      {chosen === undefined ? <p class="quiet">Choose an entry to see its bytes decoded and its proof.</p> : <Proof {...props} leaf={chosen} />}
    </div>
  );
}

function happened({ index, leaf }: Replay): readonly Happened[] {
  const next = index.happened.findIndex((one) => one.leaf > leaf.value);
  const middle = next < 0 ? index.happened.length : next;
  const from = Math.max(Math.min(middle - ROWS / 2, index.happened.length - ROWS), 0);
  return index.happened.slice(from, from + ROWS);
}

function every({ index, leaf }: Replay): { leaf: number; lane: string; what: string }[] {
  const from = Math.max(Math.min(leaf.value - ROWS / 2, index.at.length - ROWS), 0);
  const count = Math.min(ROWS, index.at.length - from);
  return Array.from({ length: count }, (_, i) => ({ leaf: from + i, lane: "", what: index.kinds[index.kind[from + i] ?? 0] ?? "" }));
}

/** A box to tick; what a wider mark has stays out until that is taken away. */
function Leave({ leaf, marks }: { readonly leaf: number; readonly marks: Marks }) {
  const [mark, out] = [{ first: leaf, last: leaf }, marks.out.value[leaf] === 1];
  const fixed = marks.kindOf(leaf) === undefined || (out && !marks.has(mark));
  return <input type="checkbox" aria-label={`Leave out entry ${leaf.toLocaleString("en-GB")}`} checked={out} disabled={fixed} onChange={() => marks.toggle(mark)} />;
}

/** Marks all that are like the chosen one. */
function LeaveKind({ leaf, marks }: { readonly leaf: number; readonly marks: Marks }) {
  const kind = marks.kindOf(leaf);
  if (kind === undefined) return <p class="quiet">This entry is in every export: the rest does not hold without it.</p>;
  return (
    <button type="button" class="plain" aria-pressed={marks.has({ kind })} onClick={() => marks.toggle({ kind })}>
      Leave out every {kind}
    </button>
  );
}

type Shown = { readonly proof: LeafProof; readonly fields: readonly Field[] } | { readonly why: string };

function Proof({ leaf, replay: { index }, source, trust, trusted, marks }: Props & { readonly leaf: number }) {
  const [shown, setShown] = useState<Shown | undefined>(undefined);
  useEffect(() => {
    let wanted = true;
    setShown(undefined);
    prove()
      .catch((error: unknown): Shown => ({ why: error instanceof Error ? error.message : String(error) }))
      .then((found) => wanted && setShown(found));
    async function prove(): Promise<Shown> {
      const proof = await proveLeaf(source, index, leaf, trust);
      if (proof === undefined) return { why: "No committed checkpoint covers this entry." };
      const fields: Field[] = proof.entry ? await fieldsOf(proof.entry, index.names, index.arms, trust) : [["redacted", "only its hash is left"]];
      return { proof, fields };
    }
    return () => void (wanted = false);
  }, [leaf, index, source, trust]);
  if (shown === undefined) return <p role="status">Proving entry {leaf}.</p>;
  if ("why" in shown) return <p class="refusal" role="status">{`Entry ${leaf} is not proven: ${shown.why}`}</p>;
  const { proof, fields } = shown;
  const holds = proof.steps.every((step) => step.holds);
  const hashes: Field[] = [
    ["leaf hash", toHex(proof.hash)],
    ["root reached", proof.reached ? toHex(proof.reached) : "none"],
    ["root committed", toHex(proof.root)],
    ["checkpoint by", who(proof.author, index.names)],
    ["stands at", inWords(proof.position)],
    ["committed", `${new Date(Number(proof.committed.us) / 1000).toISOString()} ± ${Number(proof.committed.uncertaintyUs) / 1000} ms, by the validators' clocks`],
    ["last certificate", `${proof.signers.length} of ${proof.validators} validators: ${proof.signers.map((key) => toHex(key).slice(0, 8)).join(", ")}`],
  ];
  return (
    <div class="proof" data-leaf={leaf} data-holds={holds}>
      <Facts title={`Entry ${leaf.toLocaleString("en-GB")}: ${proof.entry?.what.is ?? "redacted"}`} aside={`${proof.bytes.length} bytes`} fields={fields} none="No fields." />
      {marks && !proof.redacted && <LeaveKind leaf={leaf} marks={marks} />}
      <section aria-label="Proof" role="status">
        <h2>
          Proof <span class="end">checked on this device, {trusted ? "under your trust file" : "under the bundle's own trust root, which proves nothing"}</span>
        </h2>
        <ul class="steps">
          {proof.steps.map((step) => (
            <li key={step.what} data-holds={step.holds}>
              <span aria-hidden="true">{step.holds ? "✓" : "✗"}</span>
              <span class="hidden-but-read">{step.holds ? "holds: " : "does not hold: "}</span>
              {step.what}
            </li>
          ))}
        </ul>
        <dl>
          {hashes.map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd class="mono">{value}</dd>
            </div>
          ))}
        </dl>
        <details>
          <summary>Audit path, {proof.path.length} hashes, from the leaf upwards</summary>
          <ol class="mono">
            {proof.path.map((hash, i) => (
              <li key={i}>{toHex(hash)}</li>
            ))}
          </ol>
        </details>
      </section>
    </div>
  );
}

function clock(us: number): string {
  return new Date(us / 1000).toISOString().slice(11, 23);
}
