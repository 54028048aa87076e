// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TestUsdc} from "../../dev/TestUsdc.sol";
import {OutboxCell} from "../../src/custody/OutboxCell.sol";
import {Escape} from "../../src/escape/Escape.sol";
import {EntitlementKind, EscapePhase} from "../../src/escape/IEscape.sol";
import {EscapeFixture, TestPool} from "../support/EscapeFixture.sol";

/// @notice A venue of three final batches with different states, one of which may turn out to be wrong; everything that anybody
/// may do to its escape, in any order.
contract EscapeHandler is EscapeFixture {
    uint24 public constant ACCOUNTS = 7;
    uint32 public constant WITHDRAWALS = 3;
    uint64 public constant BATCHES = 3;

    /// @dev Queue indices of deposits that no batch consumes.
    uint64[] public deposits;
    uint64 public forcedIndex;
    uint256 public paid;
    /// @dev Times a thing was paid in the whole life of the escape.
    mapping(uint64 round => mapping(EntitlementKind kind => mapping(uint64 number => uint256))) public timesPaid;
    mapping(uint64 round => mapping(EntitlementKind kind => mapping(uint64 number => uint256))) public paidTo;
    mapping(EscapePhase phase => uint256) public visited;
    uint256 public lateRegistrations;
    uint256 public payments;
    uint256 public discarded;

    constructor() {
        usdc = new TestUsdc();
        poolInUse = address(new TestPool(usdc, address(0)));
        deployVenueWith(usdc);
        usdc.mint(poolInUse, 700);
        fund(ALICE, 10_000);
        vm.prank(ALICE);
        custody.openAccountAndDeposit(4_000);
        cursorInState = 2;
        buildState();
        for (uint64 i = 1; i <= BATCHES; ++i) {
            setVariant(i);
            finaliseState();
        }
        vm.startPrank(ALICE);
        deposits.push(custody.deposit(2, 321));
        deposits.push(custody.deposit(1, 77));
        forcedIndex = custody.forceWithdrawal(2, 1, ALICE);
        vm.stopPrank();
    }

    function buildState() private {
        instrumentsInState.push(TestInstrument(3, 1, 1, 5_000_000, 0, 40));
        instrumentsInState.push(TestInstrument(4, 3, 1, 0, 0, 25));
        for (uint24 number = 0; number < ACCOUNTS; ++number) {
            addAccount(number, address(uint160(0x5000 + number)), 0);
            if (number < 2) continue;
            int32 size = int32(int256(uint256(number))) - 4;
            if (size != 0) positionsInState[number].push(TestPosition(3, size * 3, 0));
            if (number % 2 == 0) positionsInState[number].push(TestPosition(4, -size + 5, 0));
        }
        for (uint32 i = 0; i < WITHDRAWALS; ++i) {
            outboxInState.push(OutboxCell(2, 0, 100 + i, uint64(block.chainid), address(uint160(0x6000 + i))));
        }
    }

    /// @notice The state that batch `number` ends with.
    function setVariant(uint64 number) private {
        for (uint24 account = 0; account < ACCOUNTS; ++account) {
            cashInState[account] = int64(uint64(account)) * 190 - 100 + int64(number) * 60;
        }
    }

    modifier counted() {
        ++visited[escape.phase()];
        _;
    }

    // ── what anybody may do ────────────────────────────────────────────────────────────────────────────────────────

    function passTime(uint256 random) external counted {
        vm.warp(block.timestamp + random % 12 days);
    }

    function freeze() external counted {
        if (escape.phase() != EscapePhase.LIVE) return;
        if (block.timestamp <= custody.forcedDeadlineOf(forcedIndex)) {
            vm.warp(custody.forcedDeadlineOf(forcedIndex) + 1);
        }
        escape.freezeForMissedEntry(forcedIndex);
    }

    function fraud(uint256 random) external counted {
        uint64 round = escape.round();
        // Rarely: three proofs leave nothing to anchor at but genesis, whose state is not built here.
        if (random % 16 != 0) return;
        vm.prank(DISPUTE);
        escape.lateFraud(uint64(2 + (random >> 8) % BATCHES));
        if (escape.round() != round) ++discarded;
    }

    function anchor() external counted {
        if (escape.phase() != EscapePhase.RESOLVING) return;
        for (uint64 i = BATCHES; i > 0; --i) {
            setVariant(i);
            try escape.fixAnchor(stateParts(), address(0)) {
                return;
            } catch {}
        }
        vm.assertTrue(false, "no batch is the anchor");
    }

    function mark(uint256 random) external counted {
        if (escape.phase() != EscapePhase.MARKING) return;
        setMarks(markEntry(random % 2 == 0 ? 3 : 4, uint40((random >> 8) % 90)));
    }

    function addToVault(uint256 random) external counted {
        if (escape.phase() < EscapePhase.PAYING) usdc.mint(address(custody), random % 600);
    }

    function register(uint256 random) external counted {
        EscapePhase phase = escape.phase();
        if (phase < EscapePhase.REGISTERING) return;
        uint256 before = escape.currentBooks().registeredLate;
        uint256 which = random % (ACCOUNTS + WITHDRAWALS + 2);
        if (which < ACCOUNTS) {
            try escape.registerAccount(uint24(which), accountWitness(uint24(which))) {} catch {}
        } else if (which < ACCOUNTS + WITHDRAWALS) {
            uint32 number = uint32(which - ACCOUNTS);
            try escape.registerWithdrawal(number, outboxInState[number], outboxPath(number)) {} catch {}
        } else {
            uint256 i = which - ACCOUNTS - WITHDRAWALS;
            bytes memory entry = i == 0
                ? abi.encodePacked(uint8(2), uint24(2), uint64(321), ALICE)
                : abi.encodePacked(uint8(2), uint24(1), uint64(77), ALICE);
            try escape.registerDeposit(deposits[i], entry) {} catch {}
        }
        if (escape.currentBooks().registeredLate > before) ++lateRegistrations;
    }

    function close() external counted {
        if (escape.phase() != EscapePhase.CLOSABLE) return;
        escape.close();
    }

    function pay(uint256 random) external counted {
        uint256 which = random % (ACCOUNTS + WITHDRAWALS + 2);
        if (which < ACCOUNTS) payOne(EntitlementKind.ACCOUNT, uint64(which));
        else if (which < ACCOUNTS + WITHDRAWALS) payOne(EntitlementKind.WITHDRAWAL, uint64(which - ACCOUNTS));
        else payOne(EntitlementKind.DEPOSIT, deposits[which - ACCOUNTS - WITHDRAWALS]);
    }

    function payOne(EntitlementKind kind, uint64 number) private {
        (bool isDue, uint256 amount) = escape.payableOf(kind, number);
        uint256 before = usdc.balanceOf(address(custody));
        try escape.pay(kind, number) {
            vm.assertTrue(isDue, "due");
            uint256 moved = before - usdc.balanceOf(address(custody));
            vm.assertEq(moved, amount);
            paid += moved;
            ++timesPaid[escape.round()][kind][number];
            paidTo[escape.round()][kind][number] = moved;
            ++payments;
        } catch {
            vm.assertFalse(isDue);
        }
    }

    function parts() external view returns (Escape, TestUsdc, address) {
        return (escape, usdc, address(custody));
    }
}
