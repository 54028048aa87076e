// Submits one intent and is killed on the way. Arguments: L1 url, store path, target, data, "before" or "after" the send.
import { connectL1, developmentAccount, openTransactionOutbox } from "@tidemark/chain";

const [url, path, to, data, moment] = process.argv.slice(2);
const client = await connectL1(url);
const send = client.sendRawTransaction;
client.sendRawTransaction = async (parameters) => {
  if (moment === "after") await send(parameters);
  process.kill(process.pid, "SIGKILL");
  // The signal arrives at once; nothing after this line may run.
  return new Promise(() => undefined);
};
const outbox = openTransactionOutbox({ client, account: developmentAccount("sender"), path });
await outbox.submit("only", { to, data, valueWei: "0", gas: "500000" });
process.exit(9);
