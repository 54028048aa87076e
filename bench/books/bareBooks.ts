// The engine's books and order records with nothing around them: what the bare books of other packages do, no more.
import { ACCOUNT, Books, type DepthLevel, INSTRUMENT, NONE, ORDER_STRIDE_SHIFT, OrderArena, PRICE, REMAINING, SIDE } from "@tidemark/engine";
import type { Order } from "@tidemark/ledger";

export interface BareOrder {
  book: number;
  side: 1 | -1;
  price: number;
  lots: number;
  account: number;
  nonce: number;
}

const EXPIRY_MS = 2 ** 40;

export class BareBooks {
  readonly #arena = new OrderArena();
  readonly #books = new Books(this.#arena);

  constructor(count: number) {
    for (let book = 0; book < count; book++) this.#books.open(book);
  }

  limit({ book, side, price, lots, account, nonce }: BareOrder, isImmediate: boolean): void {
    const arena = this.#arena;
    let open = lots;
    while (open > 0) {
      const maker = this.#books.best(book, -side);
      if (maker === NONE) break;
      const base = maker << ORDER_STRIDE_SHIFT;
      const { records } = arena;
      if (side * (records[base + PRICE] as number) > side * price) break;
      const left = (records[base + REMAINING] as number) - open;
      if (left > 0) {
        records[base + REMAINING] = left;
        return;
      }
      open = -left;
      this.#books.remove(maker);
      arena.release(maker);
    }
    if (open === 0 || isImmediate) return;
    const at = arena.allocate({ account, nonce, expiryMs: EXPIRY_MS } as unknown as Order, "0x", "0x");
    const { records } = arena;
    const base = at << ORDER_STRIDE_SHIFT;
    records[base + ACCOUNT] = account;
    records[base + INSTRUMENT] = book;
    records[base + SIDE] = side;
    records[base + PRICE] = price;
    records[base + REMAINING] = open;
    this.#books.append(at);
  }

  cancel(account: number, nonce: number): void {
    const at = this.#arena.find(account, nonce);
    if (at === NONE) return;
    this.#books.remove(at);
    this.#arena.release(at);
  }

  depth(book: number, side: 1 | -1): DepthLevel[] {
    return this.#books.depth(book, side, Number.MAX_SAFE_INTEGER);
  }
}
