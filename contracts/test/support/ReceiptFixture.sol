// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BatchHeader} from "../../src/chain/IBatchChain.sol";
import {IEscape} from "../../src/escape/IEscape.sol";
import {Cells} from "../../src/lib/Cells.sol";
import {Limits} from "../../src/lib/Limits.sol";
import {Signatures} from "../../src/lib/Signatures.sol";
import {CourtTerms, OrderLeg, OrderTerms, Receipt, ReceiptClaim} from "../../src/receipts/IReceiptCourt.sol";
import {ReceiptCourt} from "../../src/receipts/ReceiptCourt.sol";
import {StakeRegistry, StakeTerms} from "../../src/stake/StakeRegistry.sol";
import {Fixture} from "./Fixture.sol";
import {Reference} from "./Reference.sol";

/// @notice A freeze that the test decides.
contract SettableAnchor is IEscape {
    bool public isFrozen;
    uint64 private _batchNumber;
    bytes32 private _root;
    bool private _settled;

    function freeze(uint64 batchNumber, bytes32 root, bool settled) external {
        (isFrozen, _batchNumber, _root, _settled) = (true, batchNumber, root, settled);
    }

    function lateFraud(uint64) external pure {
        revert("the test freezes by itself");
    }

    function anchor() external view returns (uint64, bytes32, bool) {
        return (_batchNumber, _root, _settled);
    }
}

/// @notice What a state shows of one order. `isAccount` false: the account itself is absent.
struct Shown {
    bool isAccount;
    bool isHeld;
    uint48 nonce;
    bytes32 orderHash;
    uint32 filledLots;
    int64 filledCash;
    uint64 deadlineMs;
    /// @dev Of the instruments 0 and 1; 0 = the instrument is absent.
    uint40[2] marks;
    uint32 tickValue;
}

/// @notice A court beside the real chain and custody, states with one order, signed receipts.
abstract contract ReceiptFixture is Fixture {
    uint256 internal constant SEQUENCER_KEY = 0x5e9;
    uint64 internal constant RECEIPT_PERIOD_MS = 3_600_000;
    uint64 internal constant CLAIM_PERIOD = 2 days;
    uint64 internal constant UNBONDING = 7 days;
    uint256 internal constant STAKE = 10 ** 12;
    uint256 internal constant FIXED_PART = 1_000_000;
    uint256 internal constant CAP = 1_000_000_000;
    bytes32 internal constant UNDERLYINGS = keccak256("underlyings");
    bytes32 internal constant OUTBOX = keccak256("outbox");
    uint256 internal constant SLOTS_SHOWN = 8;

    ReceiptCourt internal court;
    StakeRegistry internal stake;
    address internal sequencer;
    SettableAnchor internal anchor;
    uint24 internal account;

    function deployCourt() internal {
        deploy();
        anchor = new SettableAnchor();
        sequencer = vm.addr(SEQUENCER_KEY);
        address predicted = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        stake = new StakeRegistry(stakeTermsOf(predicted, UNBONDING), new address[](0));
        court = new ReceiptCourt(courtTermsOf());
        usdc.mint(address(this), STAKE);
        usdc.approve(address(stake), STAKE);
        stake.depositFor(sequencer, STAKE);
        account = openAccount(ALICE);
    }

    function stakeTermsOf(address court_, uint64 unbondingSeconds) internal view returns (StakeTerms memory) {
        return StakeTerms({
            token: usdc,
            batchChain: chain,
            pool: address(0x5001),
            dispute: DISPUTE,
            receiptCourt: court_,
            sequencer: sequencer,
            minimumStake: 1_000_000,
            unbondingSeconds: unbondingSeconds,
            turnSeconds: 60,
            windowSecondsMax: WINDOW,
            openAfterSeconds: 3_600
        });
    }

    function courtTermsOf() internal view returns (CourtTerms memory) {
        return CourtTerms({
            batchChain: chain,
            custody: address(custody),
            escape: address(anchor),
            registry: stake,
            sequencer: sequencer,
            receiptPeriodMs: RECEIPT_PERIOD_MS,
            claimPeriodSeconds: CLAIM_PERIOD,
            fixedPart: FIXED_PART,
            capPerReceipt: CAP
        });
    }

    // ── orders and receipts ────────────────────────────────────────────────────────────────────────────────────────

    function orderOf(int32 size, int32 limitPrice) internal pure returns (OrderTerms memory order) {
        order.legs = new OrderLeg[](1);
        order.legs[0] = OrderLeg(0, 1);
        order.size = size;
        order.limitPrice = limitPrice;
        order.maxFeePerLot = 77;
        order.start = 1_000;
        order.expiry = 2_000_000_000_000;
    }

    function separator() internal view returns (bytes32) {
        return Signatures.domainSeparator(block.chainid, address(custody));
    }

    /// @notice Written out in the plainest form, apart from the contract's.
    function hashOf(OrderTerms memory order, uint24 ofAccount, uint48 nonce) internal view returns (bytes32) {
        bytes memory legs;
        for (uint256 i = 0; i < order.legs.length; ++i) {
            bytes32 typeHash = keccak256("Leg(uint32 instrument,int32 ratio)");
            legs = bytes.concat(legs, keccak256(abi.encode(typeHash, order.legs[i].instrument, order.legs[i].ratio)));
        }
        bytes memory head = abi.encode(
            keccak256(
                "Order(uint32 domain,uint32 account,Leg[] legs,int32 size,int32 limitPrice,uint64 maxFeePerLot,uint64 nonce,uint64 start,uint64 expiry,uint32 flags)Leg(uint32 instrument,int32 ratio)"
            ),
            DOMAIN,
            ofAccount,
            keccak256(legs),
            order.size,
            order.limitPrice
        );
        bytes memory tail = abi.encode(order.maxFeePerLot, nonce, order.start, order.expiry, order.flags);
        return keccak256(bytes.concat(hex"1901", separator(), keccak256(bytes.concat(head, tail))));
    }

    function receiptOf(OrderTerms memory order, uint8 kind, uint48 nonce, uint32 lots, int64 cash, uint64 deadlineMs)
        internal
        view
        returns (Receipt memory)
    {
        return Receipt(kind, DOMAIN, account, hashOf(order, account, nonce), nonce, lots, cash, deadlineMs, 1);
    }

    function leafOf(Receipt memory receipt) internal pure returns (bytes32) {
        return keccak256(
            bytes.concat(
                bytes1(receipt.kind),
                bytes4(receipt.domain),
                bytes3(receipt.account),
                receipt.orderHash,
                bytes6(receipt.nonce),
                bytes4(receipt.filledLots),
                bytes8(uint64(receipt.filledCash)),
                bytes8(receipt.deadlineMs),
                bytes1(receipt.tier)
            )
        );
    }

    function compactSignature(uint256 key, bytes32 root) internal view returns (bytes memory) {
        bytes32 structHash = keccak256(abi.encode(keccak256("Receipts(uint32 domain,bytes32 root)"), DOMAIN, root));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, keccak256(bytes.concat(hex"1901", separator(), structHash)));
        return bytes.concat(r, bytes32(uint256(s) | (uint256(v - 27) << 255)));
    }

    /// @notice The receipt in a group of three, signed.
    function claimOf(Receipt memory receipt, OrderTerms memory order, uint64 batchNumber, bytes memory witness)
        internal
        view
        returns (ReceiptClaim memory claimed)
    {
        claimed.receipt = receipt;
        claimed.order = order;
        claimed.batchNumber = batchNumber;
        claimed.witness = witness;
        claimed.path = new bytes32[](2);
        claimed.path[0] = keccak256("neighbour");
        claimed.path[1] = keccak256("third");
        bytes32 node = leafOf(receipt);
        for (uint256 i = 0; i < 2; ++i) {
            bytes32 other = claimed.path[i];
            node = node < other ? keccak256(bytes.concat(node, other)) : keccak256(bytes.concat(other, node));
        }
        claimed.signature = compactSignature(SEQUENCER_KEY, node);
    }

    // ── states ─────────────────────────────────────────────────────────────────────────────────────────────────────

    function shownOf(Receipt memory receipt, uint32 lots, int64 cash) internal pure returns (Shown memory shown) {
        shown.isAccount = true;
        shown.isHeld = true;
        shown.nonce = receipt.nonce;
        shown.orderHash = receipt.orderHash;
        shown.filledLots = lots;
        shown.filledCash = cash;
        shown.deadlineMs = receipt.deadlineMs;
        shown.marks = [uint40(5_000), uint40(3_000)];
        shown.tickValue = 10;
    }

    function put(bytes memory cell, uint256 offset, bytes memory value) private pure {
        for (uint256 i = 0; i < value.length; ++i) {
            cell[offset + i] = value[i];
        }
    }

    function accountCell(bytes32 ringRoot) private pure returns (bytes memory cell) {
        cell = new bytes(Cells.ACCOUNT_FIXED_BYTES);
        put(cell, Cells.ACCOUNT_OWNER, abi.encodePacked(ALICE));
        put(cell, Cells.ACCOUNT_DELEGATES + Cells.TAIL_RING_ROOT, abi.encodePacked(ringRoot));
    }

    function slotCell(Shown memory shown) private pure returns (bytes memory) {
        return bytes.concat(
            Reference.littleEndian(shown.nonce, 6),
            shown.orderHash,
            Reference.littleEndian(shown.filledLots, 4),
            Reference.littleEndian(uint64(shown.filledCash), 8),
            Reference.littleEndian(shown.deadlineMs, 8)
        );
    }

    function instrumentCell(uint40 mark, uint32 tickValue) private pure returns (bytes memory cell) {
        cell = new bytes(Cells.INSTRUMENT_BYTES);
        put(cell, Cells.INSTRUMENT_TICK_VALUE, Reference.littleEndian(tickValue, 4));
        put(cell, Cells.INSTRUMENT_ROW, Reference.littleEndian(mark, 5));
    }

    function join(bytes32[] memory path, uint256 from) private pure returns (bytes memory joined) {
        for (uint256 i = from; i < path.length; ++i) {
            joined = bytes.concat(joined, path[i]);
        }
    }

    function cellEntry(uint256 index, bytes memory cell) private pure returns (bytes memory) {
        return bytes.concat(bytes4(uint32(index)), bytes2(uint16(cell.length)), cell);
    }

    /// @notice Root and witness of a state with the order's slot and the instruments 0 and 1.
    function stateOf(Shown memory shown, uint48 nonceOfReceipt)
        internal
        view
        returns (bytes32 root, bytes memory witness)
    {
        bytes32 accountsRoot;
        bytes32 instrumentsRoot;
        bytes memory accounts;
        bytes memory instruments;
        (accountsRoot, accounts) = accountsOf(shown, nonceOfReceipt);
        (instrumentsRoot, instruments) = instrumentsOf(shown);
        bytes memory globals = new bytes(Cells.GLOBALS_BYTES);
        root = keccak256(bytes.concat(accountsRoot, instrumentsRoot, UNDERLYINGS, OUTBOX, keccak256(globals)));
        witness = bytes.concat(globals, accounts, instruments, hex"00000001", UNDERLYINGS, hex"00000001", OUTBOX);
    }

    function accountsOf(Shown memory shown, uint48 nonceOfReceipt)
        private
        view
        returns (bytes32 root, bytes memory tree)
    {
        bytes32[] memory leaves = new bytes32[](account + 1);
        bytes memory entry;
        if (shown.isAccount) {
            bytes32 ringRoot;
            bytes memory ring;
            (ringRoot, ring) = ringOf(shown, uint256(nonceOfReceipt) % Limits.RING_SLOTS);
            bytes memory cell = accountCell(ringRoot);
            leaves[account] = keccak256(cell);
            entry = bytes.concat(cellEntry(account, cell), ring);
        } else {
            entry = bytes.concat(cellEntry(account, ""), hex"00000000");
        }
        root = Reference.treeRoot(leaves, Limits.ACCOUNT_TREE_DEPTH, 0);
        bytes memory path = join(Reference.treePath(leaves, Limits.ACCOUNT_TREE_DEPTH, account), 0);
        tree = bytes.concat(hex"0001", bytes2(uint16(Limits.ACCOUNT_TREE_DEPTH)), entry, path);
    }

    function ringOf(Shown memory shown, uint256 index) private pure returns (bytes32 root, bytes memory tree) {
        require(index < SLOTS_SHOWN);
        bytes32[] memory leaves = new bytes32[](SLOTS_SHOWN);
        bytes memory cell = shown.isHeld ? slotCell(shown) : bytes("");
        leaves[index] = shown.isHeld ? keccak256(cell) : bytes32(0);
        root = Reference.treeRoot(leaves, Limits.RING_TREE_DEPTH, 0);
        bytes memory path = join(Reference.treePath(leaves, Limits.RING_TREE_DEPTH, index), 0);
        tree = bytes.concat(hex"0001", bytes2(uint16(Limits.RING_TREE_DEPTH)), cellEntry(index, cell), path);
    }

    function instrumentsOf(Shown memory shown) private pure returns (bytes32 root, bytes memory tree) {
        bytes32[] memory leaves = new bytes32[](2);
        bytes memory cells;
        for (uint256 i = 0; i < 2; ++i) {
            bytes memory cell = shown.marks[i] == 0 ? bytes("") : instrumentCell(shown.marks[i], shown.tickValue);
            leaves[i] = shown.marks[i] == 0 ? bytes32(0) : keccak256(cell);
            cells = bytes.concat(cells, cellEntry(i, cell));
        }
        root = Reference.treeRoot(leaves, Limits.INSTRUMENT_TREE_DEPTH, 0);
        // The two are neighbours: what proves them begins a level higher.
        bytes memory path = join(Reference.treePath(leaves, Limits.INSTRUMENT_TREE_DEPTH, 0), 1);
        tree = bytes.concat(hex"0002", bytes2(uint16(Limits.INSTRUMENT_TREE_DEPTH - 1)), cells, path);
    }

    // ── batches ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Posts a batch that ends with `root` at `timeMs` and makes it final.
    function finalAt(bytes32 root, uint64 timeMs) internal returns (uint64 number) {
        number = postAt(root, timeMs);
        vm.warp(block.timestamp + WINDOW);
        chain.finalise(number);
    }

    function postAt(bytes32 root, uint64 timeMs) internal returns (uint64) {
        if (block.timestamp * 1000 < timeMs) vm.warp(timeMs / 1000 + 1);
        (BatchHeader memory header, bytes memory data) = nextBatch(1, root);
        header.timeMs = timeMs;
        post(header, data);
        return header.number;
    }
}
