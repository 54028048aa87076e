// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TestUsdc} from "../../dev/TestUsdc.sol";
import {BatchChain} from "../../src/chain/BatchChain.sol";
import {Batch, BatchHeader} from "../../src/chain/IBatchChain.sol";
import {Custody, OutboxCell, StateRoots} from "../../src/custody/Custody.sol";
import {BatchTiming, IFinalityPolicy} from "../../src/policy/IFinalityPolicy.sol";
import {Reference} from "../support/Reference.sol";
import {VmTest} from "../support/Vm.sol";

/// @notice A window whose floor wanders in both directions, as a misbehaving policy's would.
contract WanderingPolicy is IFinalityPolicy {
    uint64 public constant GUARD_SECONDS = 5 minutes;
    uint64 public windowSeconds = 1 hours;

    function setWindow(uint64 windowSeconds_) external {
        windowSeconds = windowSeconds_;
    }

    function floorOf(BatchTiming calldata timing) external view returns (uint64) {
        return timing.postedAt + windowSeconds;
    }

    function finalisableAt(BatchTiming calldata timing) external pure returns (uint64) {
        if (timing.provenAt == 0) return timing.floor;
        uint64 guarded = timing.provenAt + GUARD_SECONDS;
        return guarded < timing.floor ? guarded : timing.floor;
    }

    function windowSecondsMax() external pure returns (uint64) {
        return 90 minutes;
    }
}

/// @notice Users, an honest proposer, a dispute contract and time, with a naive ledger beside them: deposits that a batch
/// consumes become cash, withdrawals never exceed cash. Every action also tries what must fail.
contract Handler is VmTest {
    uint32 private constant DOMAIN = 7;
    uint256 private constant OUTBOX_MAX = 24;
    address private constant PROPOSER = address(0x1001);
    address private constant DISPUTE = address(0x1002);
    address private constant AFFIRMATION = address(0x1005);

    /// @notice The naive ledger after a batch.
    struct LedgerState {
        uint256 cash;
        uint256 outboxCount;
        uint256 outboxTotal;
        StateRoots roots;
    }

    TestUsdc private immutable _usdc;
    BatchChain private immutable _chain;
    Custody private immutable _custody;
    WanderingPolicy private immutable _policy;

    address[3] public users = [address(0x2001), address(0x2002), address(0x2003)];
    /// @dev Amount of each queue entry; 0 for all but deposits.
    uint256[] public queueAmounts;
    bytes32[] public queueHashes;
    OutboxCell[] private _cells;
    mapping(uint64 number => LedgerState) private _states;
    mapping(uint64 number => uint64) private _floors;
    mapping(uint64 number => bytes32) private _finalRoots;
    mapping(uint32 withdrawal => uint256) public timesPaid;

    uint256 public deposited;
    uint256 public claimed;
    uint256 public claims;
    uint256 public bondsIn;
    uint256 public bondsOut;
    uint256 public drops;
    uint256 public finalised;
    /// @dev Final before the floor.
    uint256 public finalByProof;
    uint256 public proofs;
    uint256 public raised;
    /// @dev Bonds of dropped batches not yet credited, by number.
    mapping(uint64 number => uint256) public droppedBonds;
    uint64 public highestNumber;

    constructor(TestUsdc usdc, BatchChain chain, Custody custody, WanderingPolicy policy) {
        (_usdc, _chain, _custody, _policy) = (usdc, chain, custody, policy);
        queueHashes.push(0);
    }

    // ── actions ────────────────────────────────────────────────────────────────────────────────────────────────────

    function openAccount(uint256 who) public {
        vm.prank(users[who % 3]);
        uint24 account = _custody.openAccount();
        recordEntry(abi.encodePacked(uint8(1), account, users[who % 3]), 0);
    }

    function deposit(uint256 who, uint256 amount) public {
        address user = users[who % 3];
        amount = 1 + amount % 1e12;
        _usdc.mint(user, amount);
        vm.startPrank(user);
        _usdc.approve(address(_custody), amount);
        _custody.deposit(1, amount);
        vm.stopPrank();
        deposited += amount;
        recordEntry(abi.encodePacked(uint8(2), uint24(1), uint64(amount), user), amount);
    }

    function passTime(uint256 seconds_) public {
        vm.warp(block.timestamp + seconds_ % 40 minutes);
    }

    function moveWindow(uint256 seconds_) public {
        _policy.setWindow(uint64(30 minutes + seconds_ % 1 hours));
    }

    /// @notice Posts a batch that consumes part of the queue and withdraws part of the cash.
    function post(uint256 consume, uint256 withdraw, uint256 who) public {
        uint64 number = _chain.lastNumber();
        Batch memory parent = _chain.batch(number);
        LedgerState memory state = _states[number];
        uint64 cursor = parent.inboundCursor + uint64(consume % (queueAmounts.length - parent.inboundCursor + 1));
        for (uint256 i = parent.inboundCursor; i < cursor; ++i) {
            state.cash += queueAmounts[i];
        }
        // A drop may have left cells of a branch that is no more.
        while (_cells.length > state.outboxCount) _cells.pop();
        withdraw %= state.cash + 1;
        if (withdraw > 0 && _cells.length < OUTBOX_MAX) {
            _cells.push(OutboxCell(2, 0, uint64(withdraw), uint64(block.chainid), users[who % 3]));
            state.cash -= withdraw;
            state.outboxTotal += withdraw;
        }
        state.outboxCount = _cells.length;
        state.roots = StateRoots(
            keccak256(abi.encode("accounts", state.cash, number)),
            keccak256("instruments"),
            keccak256("underlyings"),
            Reference.treeRoot(leaves(), 32, 0),
            keccak256(abi.encode("globals", cursor))
        );
        postState(number + 1, parent, cursor, keccak256(abi.encode(state.roots)));
        _states[number + 1] = state;
    }

    function postState(uint64 number, Batch memory parent, uint64 cursor, bytes32 root) private {
        bytes memory payload = abi.encode(root);
        bytes32[] memory cycleLeaves = new bytes32[](1);
        cycleLeaves[0] = Reference.cycleLeaf(payload, root);
        BatchHeader memory header = BatchHeader({
            version: 1,
            domain: DOMAIN,
            number: number,
            parent: parent.batchHash,
            preStateRoot: parent.postStateRoot,
            postStateRoot: root,
            cyclesRoot: cycleLeaves[0],
            cycleCount: 1,
            firstCycle: parent.nextCycle,
            timeMs: uint64(block.timestamp) * 1000,
            inboundCursor: cursor,
            inboundHash: queueHashes[cursor],
            dataMode: 0,
            dataHash: 0,
            dataLength: uint32(36 + payload.length)
        });
        uint256 bond = 1 ether + uint256(root) % 1 ether;
        vm.deal(PROPOSER, bond);
        vm.prank(PROPOSER, PROPOSER);
        _chain.postBatch{value: bond}(header, bytes.concat(bytes4(uint32(payload.length)), root, payload));
        bondsIn += bond;
        droppedBonds[number] = 0;
        _floors[number] = _chain.batch(number).floor;
        if (number > highestNumber) highestNumber = number;
    }

    /// @notice Finalises the oldest pending batch if it is due; whatever is not due or not next must be refused.
    function finalise(uint256 which) public {
        uint64 next = _chain.lastFinal() + 1;
        uint64 last = _chain.lastNumber();
        if (last < next) return;
        uint64 number = next + uint64(which % (last - next + 1));
        Batch memory record = _chain.batch(number);
        bool guarded = record.provenAt != 0 && block.timestamp >= record.provenAt + _policy.GUARD_SECONDS();
        bool due = number == next && (guarded || block.timestamp >= record.floor);
        try _chain.finalise(number) {
            vm.assertTrue(due, "final before its floor or its parent");
            _finalRoots[number] = keccak256(abi.encode(_states[number].roots));
            finalised++;
            if (block.timestamp < record.floor) finalByProof++;
        } catch {
            vm.assertFalse(due);
        }
    }

    function poke(uint256 which) public {
        uint64 number = pending(which);
        if (number == 0) return;
        _chain.poke(number);
        uint64 floor = _chain.batch(number).floor;
        vm.assertGe(floor, _floors[number], "a floor moved down");
        if (floor > _floors[number]) raised++;
        _floors[number] = floor;
    }

    /// @notice A batch is proven at most once, and only by the affirmation contract.
    function prove(uint256 which) public {
        uint64 number = pending(which / 2);
        if (number == 0) return;
        bool proven = _chain.batch(number).provenAt != 0;
        vm.prank(which % 2 == 0 ? AFFIRMATION : PROPOSER);
        try _chain.markProven(number) {
            vm.assertTrue(which % 2 == 0 && !proven, "proven twice or by somebody");
            vm.assertEq(_chain.batch(number).provenAt, block.timestamp);
            proofs++;
        } catch {
            vm.assertTrue(which % 2 == 1 || proven);
        }
    }

    function drop(uint256 which, uint256 who) public {
        // Rare, or nothing would ever become final.
        if (which % 4 != 0) return;
        uint64 number = pending(which / 4);
        if (number == 0) return;
        uint64 last = _chain.lastNumber();
        for (uint64 i = number + 1; i <= last; ++i) {
            droppedBonds[i] = _chain.batch(i).bond;
        }
        vm.prank(DISPUTE);
        _chain.dropFrom(number, users[who % 3]);
        drops++;
    }

    function reclaimBond(uint256 which) public {
        if (highestNumber == 0) return;
        uint64 number = 1 + uint64(which % highestNumber);
        try _chain.reclaimBond(number) {
            vm.assertTrue(droppedBonds[number] > 0, "a bond reclaimed that was not dropped");
            droppedBonds[number] = 0;
        } catch {
            vm.assertEq(droppedBonds[number], 0);
        }
    }

    function withdrawBond(uint256 who) public {
        address account = who % 4 == 3 ? PROPOSER : users[who % 4];
        uint256 credit = _chain.bondCredit(account);
        if (credit == 0) return;
        uint256 balance = account.balance;
        vm.prank(account);
        _chain.withdrawBond();
        vm.assertEq(account.balance, balance + credit);
        bondsOut += credit;
    }

    /// @notice Claims a withdrawal under any batch: only final ones that hold it may pay, and only once.
    function claim(uint256 whichBatch, uint256 whichCell) public {
        if (_cells.length == 0) return;
        // Mostly the newest final batch, tried twice: a second payment must be refused as often as a first one is made.
        uint64 number = whichBatch % 4 == 0 ? uint64((whichBatch / 4) % (_chain.lastNumber() + 1)) : _chain.lastFinal();
        tryClaim(number, whichCell);
        tryClaim(number, whichCell);
    }

    function tryClaim(uint64 number, uint256 whichCell) private {
        uint32 withdrawal = uint32(whichCell % _cells.length);
        OutboxCell memory cell = _cells[withdrawal];
        LedgerState memory state = _states[number];
        bytes32[] memory tree = leaves();
        assembly ("memory-safe") {
            if lt(mload(add(state, 0x20)), mload(tree)) { mstore(tree, mload(add(state, 0x20))) }
        }
        bool payable_ =
            number > 0 && number <= _chain.lastFinal() && withdrawal < state.outboxCount && timesPaid[withdrawal] == 0;
        try _custody.claim(number, state.roots, withdrawal, cell, Reference.treePath(tree, 32, withdrawal)) {
            vm.assertTrue(payable_, "paid what was not claimable");
            timesPaid[withdrawal]++;
            claimed += cell.amount;
            claims++;
        } catch {
            vm.assertFalse(payable_);
        }
    }

    // ── what the invariants ask ────────────────────────────────────────────────────────────────────────────────────

    /// @notice Money that the naive ledger owes after the last batch: cash, unclaimed outbox, unconsumed inbound.
    function liabilities() external view returns (uint256 owed) {
        uint64 last = _chain.lastNumber();
        LedgerState storage state = _states[last];
        owed = state.cash + state.outboxTotal - claimed;
        for (uint256 i = _chain.batch(last).inboundCursor; i < queueAmounts.length; ++i) {
            owed += queueAmounts[i];
        }
    }

    /// @notice What could be claimed now under the last final root.
    function claimableNow() external view returns (uint256) {
        return _states[_chain.lastFinal()].outboxTotal - claimed;
    }

    function finalRootOf(uint64 number) external view returns (bytes32) {
        return _finalRoots[number];
    }

    function floorOf(uint64 number) external view returns (uint64) {
        return _floors[number];
    }

    function queueLength() external view returns (uint256) {
        return queueAmounts.length;
    }

    // ── internals ──────────────────────────────────────────────────────────────────────────────────────────────────

    function pending(uint256 which) private view returns (uint64) {
        uint64 lastFinal = _chain.lastFinal();
        uint64 count = _chain.lastNumber() - lastFinal;
        return count == 0 ? 0 : lastFinal + 1 + uint64(which % count);
    }

    function recordEntry(bytes memory entry, uint256 amount) private {
        queueAmounts.push(amount);
        queueHashes.push(keccak256(bytes.concat(queueHashes[queueHashes.length - 1], keccak256(entry))));
    }

    function leaves() private view returns (bytes32[] memory all) {
        all = new bytes32[](_cells.length);
        for (uint256 i = 0; i < all.length; ++i) {
            OutboxCell storage cell = _cells[i];
            all[i] = keccak256(
                bytes.concat(
                    Reference.littleEndian(cell.account, 3),
                    Reference.littleEndian(cell.asset, 2),
                    Reference.littleEndian(cell.amount, 8),
                    Reference.littleEndian(cell.destinationChain, 8),
                    bytes20(cell.recipient)
                )
            );
        }
    }
}
