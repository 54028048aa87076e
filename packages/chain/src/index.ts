export * from "./anvilBinary.ts";
export * from "./batchReader.ts";
export * from "./chainPort.ts";
export * from "./challengeCall.ts";
export * from "./claimsClient.ts";
export * from "./clients.ts";
export * from "./custodyClient.ts";
export * from "./deploy.ts";
export * from "./deployment.ts";
export * from "./deploymentCheck.ts";
export * from "./disputeClient.ts";
export * from "./embedded.ts";
export * from "./errors.ts";
export * from "./generated/contracts.ts";
<<<<<<< HEAD
export * from "./generated/stake.ts";
=======
export * from "./generated/dispute.ts";
export * from "./generated/rules.ts";
>>>>>>> main
export * from "./inboundReader.ts";
export * from "./proposer.ts";
export * from "./reorgTracker.ts";
export * from "./stakeClient.ts";
export * from "./transact.ts";
export * from "./transactionOutbox.ts";
export * from "./watcherClient.ts";
