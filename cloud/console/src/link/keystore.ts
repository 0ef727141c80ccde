/**
 * What a browser keeps of a link, in IndexedDB: its identity, and where its chains of segments end. A session key's secret half is
 * not extractable: it is kept, never seen.
 */
import { type ChainEnd, type ChainStore } from "../evidence/chain";
import { type Bytes } from "../wire/bytes";
import { SessionSigner } from "../wire/ed25519";
import { type Identity } from "./rolelink";

interface Kept {
  readonly link: string;
  readonly session: Bytes;
  readonly trust: Bytes;
  readonly linkKey: Bytes;
  readonly endorsement: Bytes;
  readonly pair: CryptoKeyPair;
}

const IDENTITIES = "identities";
const CHAINS = "chains";

export async function keep({ signer, ...rest }: Identity): Promise<void> {
  const kept: Kept = { ...rest, pair: signer.pair };
  await transact(IDENTITIES, "readwrite", (store) => store.put(kept));
}

export async function kept(link: string): Promise<Identity | undefined> {
  const found = (await transact(IDENTITIES, "readonly", (store) => store.get(link))) as Kept | undefined;
  if (found === undefined) return undefined;
  const { pair, ...rest } = found;
  return { ...rest, signer: await SessionSigner.of(pair) };
}

/** Where the link's chain of that name ends. */
export function chainStore(link: string, name: string): ChainStore {
  const id = `${link} ${name}`;
  return {
    load: async () => (await transact(CHAINS, "readonly", (store) => store.get(id))) as ChainEnd | undefined,
    save: async (end) => void (await transact(CHAINS, "readwrite", (store) => store.put({ ...end, id }))),
  };
}

async function transact(name: string, mode: IDBTransactionMode, use: (store: IDBObjectStore) => IDBRequest): Promise<unknown> {
  const database = await opened();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(name, mode);
      const request = use(transaction.objectStore(name));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error ?? new Error("the key store failed"));
    });
  } finally {
    database.close();
  }
}

function opened(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("farhand", 2);
    request.onupgradeneeded = ({ oldVersion }) => {
      if (oldVersion < 1) request.result.createObjectStore(IDENTITIES, { keyPath: "link" });
      if (oldVersion < 2) request.result.createObjectStore(CHAINS, { keyPath: "id" });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("the key store does not open"));
  });
}
