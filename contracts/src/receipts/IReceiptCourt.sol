// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IBatchChain} from "../chain/IBatchChain.sol";
import {IStakeRegistry} from "../stake/IStakeRegistry.sol";

/// @notice What the sequencer promised of one order. docs/spec/receipts.md, Bytes.
struct Receipt {
    /// @dev 1 = fill: at least this much is settled; 2 = cancel: no more than this is ever settled.
    uint8 kind;
    uint32 domain;
    uint24 account;
    bytes32 orderHash;
    uint48 nonce;
    /// @dev Cumulative lots and signed cash of the order's fills, without fees.
    uint32 filledLots;
    int64 filledCash;
    /// @dev Ledger time by which a final state keeps the promise: time of the fill or cancel + the receipt period.
    uint64 deadlineMs;
    /// @dev Finality tier that the event had reached when it was signed.
    uint8 tier;
}

struct OrderLeg {
    uint32 instrument;
    int32 ratio;
}

/// @notice The order that the receipt's hash is of; account, domain and nonce are the receipt's.
struct OrderTerms {
    OrderLeg[] legs;
    int32 size;
    int32 limitPrice;
    uint64 maxFeePerLot;
    uint64 start;
    uint64 expiry;
    uint32 flags;
}

/// @notice A receipt with all that a claim needs.
struct ReceiptClaim {
    Receipt receipt;
    /// @dev Siblings from the receipt's leaf up to the root that the sequencer signed.
    bytes32[] path;
    /// @dev 64 bytes, EIP-2098, of `Receipts(uint32 domain,bytes32 root)`.
    bytes signature;
    OrderTerms order;
    /// @dev Whose final state is shown.
    uint64 batchNumber;
    /// @dev docs/spec/witness.md: the account with the order's ring slot, and the instruments of the legs.
    bytes witness;
}

/// @notice Amounts in the token's smallest unit, times in the unit of the name.
struct CourtTerms {
    IBatchChain batchChain;
    address custody;
    /// @dev Zero = the venue can never be frozen.
    address escape;
    IStakeRegistry registry;
    /// @dev Signs the receipts; its stake pays.
    address sequencer;
    uint64 receiptPeriodMs;
    uint64 claimPeriodSeconds;
    /// @dev Paid for every broken promise, whatever the price did.
    uint256 fixedPart;
    /// @dev Most that the promises of one order and kind can collect, the fixed part included.
    uint256 capPerReceipt;
}

/// @notice Claims of one period, paid together.
struct ClaimRound {
    uint64 endsAt;
    bool isSettled;
    /// @dev Sum of the round's damages.
    uint128 damages;
    /// @dev What the claimants share.
    uint128 pot;
}

/// @title Damages for broken receipts
interface IReceiptCourt {
    event PromiseBroken(
        uint24 indexed account,
        uint48 indexed nonce,
        uint8 kind,
        uint8 verdict,
        uint256 damage,
        uint256 indexed round,
        address owner,
        address sender
    );
    event RoundOpened(uint256 indexed round, uint64 endsAt);
    event RoundSettled(uint256 indexed round, uint256 damages, uint256 taken, uint256 burnt);
    event DamagesCollected(uint256 indexed round, address indexed owner, uint256 amount);

    /// @notice Nothing was broken, or this state does not show it. `verdict`: ReceiptJudge.
    error NotBroken(uint8 verdict);
    error KindUnknown(uint8 kind);
    error DomainMismatch(uint32 domain);
    error NotSigned(address signer);
    error OrderMismatch(bytes32 orderHash);
    error LegCount(uint256 count);
    error AccountWithoutOwner(uint24 account);
    /// @notice The batch is not final, or lies behind the state that a frozen venue is wound up with.
    error NotEvidence(uint64 batchNumber, uint64 last);
    /// @notice A frozen venue whose last state is not settled yet.
    error AnchorNotSettled();
    /// @notice As much was claimed for this order before.
    error NothingMore(uint256 damage);
    error RoundNotOver(uint64 endsAt);
    error RoundUnknown(uint256 round);
    error NothingToCollect(address owner);

    /// @notice Opens or joins the round of claims. Anyone may send it; the account's owner on this chain is paid.
    function claim(ReceiptClaim calldata evidence) external returns (uint256 damage);

    /// @notice What `claim` would find: a verdict of ReceiptJudge and the whole damage, fixed part and cap included. Reverts
    /// where the evidence is not well-formed.
    function judge(ReceiptClaim calldata evidence) external view returns (uint8 verdict, uint256 damage);

    /// @notice Slashes for the round whose period is over.
    function settle() external;

    /// @notice Pays an owner's share of a settled round.
    function collect(uint256 round, address owner) external returns (uint256 amount);
}
