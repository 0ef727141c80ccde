/** The auditor's own trust file: which one it is, and how to choose another. */
import { forget, notTaken, ownTrust, take } from "./owntrust";

export function OwnTrustFile() {
  const trust = ownTrust.value;
  const choose = async (file: File | undefined) => file && take(file.name, new Uint8Array(await file.arrayBuffer()));
  return (
    <div class="owntrust" data-there={trust !== undefined}>
      {trust ? (
        <span>
          Your trust file: {trust.name} <span class="mono quiet">{trust.fingerprint.slice(0, 16)}…</span>
        </span>
      ) : (
        <span>No trust file of your own: nothing here is more than self-consistent.</span>
      )}
      <label class="button">
        {trust ? "Change" : "Choose your trust file"}
        <input class="hidden-but-read" type="file" aria-label="Your trust file" onChange={(event) => void choose(event.currentTarget.files?.[0])} />
      </label>
      {trust && (
        <button type="button" class="plain" onClick={forget}>
          Forget
        </button>
      )}
      {notTaken.value && (
        <p class="refusal" role="alert">
          {notTaken.value}
        </p>
      )}
    </div>
  );
}
