// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReceiptEvidence, ReceiptJudge, ReceiptPromise} from "../../src/receipts/ReceiptJudge.sol";
import {VmTest} from "../support/Vm.sol";

/// @notice Random lives of one order, as an honest sequencer settles it and as one that leaves fills out does, against every
/// receipt and every final state.
contract ReceiptsFuzzTest is VmTest {
    uint256 private constant PERIOD_MS = 1_000;
    uint256 private constant FILLS_MAX = 4;
    uint256 private constant STATES_MAX = 14;
    uint256 private constant NONCE = 70_000;
    bytes32 private constant HASH = keccak256("order");
    int256 private constant TICK_VALUE = 10;

    struct Life {
        uint256 random;
        bool isBuy;
        int256 limitPrice;
        uint256 count;
        uint256[FILLS_MAX] filledMs;
        uint256[FILLS_MAX] settledMs;
        /// @dev Cumulative.
        uint256[FILLS_MAX] lots;
        int256[FILLS_MAX] cash;
        uint256 cancelledMs;
        /// @dev When a later order takes the slot; 0 = never.
        uint256 recycledMs;
        uint256 states;
        uint256[STATES_MAX] timesMs;
    }

    function draw(Life memory life, uint256 from, uint256 to) private pure returns (uint256) {
        life.random = uint256(keccak256(abi.encode(life.random)));
        return from + (life.random % (to - from + 1));
    }

    function lifeOf(uint256 seed) private pure returns (Life memory life) {
        life.random = seed;
        life.isBuy = draw(life, 0, 1) == 1;
        life.limitPrice = int256(draw(life, 0, 400)) - 200;
        life.count = draw(life, 1, FILLS_MAX);
        uint256 timeMs = 10_000;
        uint256 lots = 0;
        int256 cash = 0;
        for (uint256 i = 0; i < life.count; ++i) {
            timeMs += draw(life, 0, 3 * PERIOD_MS);
            life.filledMs[i] = timeMs;
            uint256 filled = draw(life, 1, 50);
            lots += filled;
            int256 better = int256(draw(life, 0, 100));
            int256 price = life.isBuy ? life.limitPrice - better : life.limitPrice + better;
            cash += (life.isBuy ? -price : price) * int256(filled) * TICK_VALUE;
            (life.lots[i], life.cash[i]) = (lots, cash);
        }
        // A cycle's time is that of its last fill, and no cycle is a period long.
        for (uint256 i = life.count; i > 0; --i) {
            bool isLast = i == life.count || life.settledMs[i] - life.filledMs[i - 1] >= PERIOD_MS;
            life.settledMs[i - 1] = isLast || draw(life, 0, 1) == 0 ? life.filledMs[i - 1] : life.settledMs[i];
        }
        life.cancelledMs = timeMs + draw(life, 0, PERIOD_MS);
        // The ring's rule: not before the deadline of the slot has passed.
        if (draw(life, 0, 1) == 1) {
            life.recycledMs = life.settledMs[life.count - 1] + PERIOD_MS + draw(life, 1, 2 * PERIOD_MS);
        }
        life.states = STATES_MAX;
        uint256 stateMs = 9_000;
        for (uint256 i = 0; i < STATES_MAX; ++i) {
            stateMs += draw(life, 0, 2 * PERIOD_MS);
            life.timesMs[i] = stateMs;
        }
    }

    /// @dev The slot at a state's time, of whose fills the first `settled` ever reach the ledger.
    function evidenceAt(Life memory life, uint256 state, uint256 settled)
        private
        pure
        returns (ReceiptEvidence memory evidence)
    {
        uint256 timeMs = life.timesMs[state];
        evidence.timeMs = timeMs;
        evidence.previousMs = state == 0 ? 0 : life.timesMs[state - 1];
        evidence.nextMs = state + 1 == life.states ? 0 : life.timesMs[state + 1];
        evidence.markPerLot = int256(draw(life, 0, 5_000)) - 2_500;
        evidence.tickValue = TICK_VALUE;
        uint256 done = 0;
        while (done < settled && life.settledMs[done] <= timeMs) ++done;
        evidence.isHeld = true;
        if (life.recycledMs != 0 && timeMs >= life.recycledMs) {
            (evidence.nonce, evidence.orderHash) = (NONCE + 65_536, keccak256("later"));
            (evidence.filledLots, evidence.filledCash) = (draw(life, 0, 300), -int256(draw(life, 0, 10 ** 6)));
            evidence.slotDeadlineMs = life.recycledMs + PERIOD_MS;
        } else if (done > 0) {
            (evidence.nonce, evidence.orderHash) = (NONCE, HASH);
            (evidence.filledLots, evidence.filledCash) = (life.lots[done - 1], life.cash[done - 1]);
            evidence.slotDeadlineMs = life.settledMs[done - 1] + PERIOD_MS;
        } else if (draw(life, 0, 1) == 1) {
            evidence.nonce = NONCE - 65_536;
            (evidence.filledLots, evidence.slotDeadlineMs) = (draw(life, 0, 300), 5_000);
        } else {
            evidence.isHeld = false;
        }
    }

    function promiseOf(Life memory life, uint256 fill, bool isCancel) private pure returns (ReceiptPromise memory) {
        return ReceiptPromise({
            isCancel: isCancel,
            nonce: NONCE,
            orderHash: HASH,
            filledLots: life.lots[fill],
            filledCash: life.cash[fill],
            deadlineMs: (isCancel ? life.cancelledMs : life.filledMs[fill]) + PERIOD_MS,
            isBuy: life.isBuy,
            limitPrice: life.limitPrice,
            receiptPeriodMs: PERIOD_MS
        });
    }

    /// @notice Whatever state is shown, whatever was dropped: an honest sequencer is not convicted.
    function testFuzz_honest_sequencer_is_never_convicted(uint256 seed, uint256 dropMs) external pure {
        Life memory life = lifeOf(seed);
        uint256 lastDropMs = dropMs % 2 == 0 ? 0 : 9_000 + (dropMs % 20_000);
        for (uint256 state = 0; state < life.states; ++state) {
            ReceiptEvidence memory evidence = evidenceAt(life, state, life.count);
            evidence.lastDropMs = lastDropMs;
            // A venue that is frozen when all was settled.
            evidence.isAnchor = state + 1 == life.states && life.timesMs[state] >= life.settledMs[life.count - 1];
            for (uint256 fill = 0; fill < life.count; ++fill) {
                (uint8 verdict, uint256 damage) = ReceiptJudge.judge(promiseOf(life, fill, false), evidence);
                vm.assertFalse(ReceiptJudge.isBroken(verdict));
                vm.assertEq(damage, 0);
            }
            (uint8 cancelled,) = ReceiptJudge.judge(promiseOf(life, life.count - 1, true), evidence);
            vm.assertEq(cancelled, ReceiptJudge.KEPT);
        }
    }

    /// @notice The last fill is left out: the receipt's first state behind the deadline convicts, and no other state says so
    /// or the opposite, however many there are.
    function testFuzz_missing_fill_is_convicted_by_one_state(uint256 seed, uint256 dropMs) external pure {
        Life memory life = lifeOf(seed);
        uint256 lastDropMs = dropMs % 2 == 0 ? 0 : 9_000 + (dropMs % 20_000);
        ReceiptPromise memory promised = promiseOf(life, life.count - 1, false);
        uint256 movedMs = ReceiptJudge.movedDeadlineMs(promised.deadlineMs, lastDropMs, PERIOD_MS);
        vm.assertTrue(movedMs >= promised.deadlineMs && movedMs <= promised.deadlineMs + PERIOD_MS);
        uint256 convictions = 0;
        uint256 expected = 0;
        for (uint256 state = 0; state < life.states; ++state) {
            ReceiptEvidence memory evidence = evidenceAt(life, state, life.count - 1);
            evidence.lastDropMs = lastDropMs;
            (uint8 verdict, uint256 damage) = ReceiptJudge.judge(promised, evidence);
            bool isFirst = evidence.timeMs > movedMs && evidence.previousMs <= movedMs;
            bool isRecycled = life.recycledMs != 0 && evidence.timeMs >= life.recycledMs;
            if (isFirst && !isRecycled) ++expected;
            if (verdict == ReceiptJudge.MISSING) {
                ++convictions;
                vm.assertEq(damage, worthOf(life, promised, evidence));
            }
            vm.assertFalse(verdict == ReceiptJudge.KEPT);
        }
        vm.assertEq(convictions, expected);
    }

    /// @dev What the missing lots are worth against what they cost; only of this order is anything settled.
    function worthOf(Life memory life, ReceiptPromise memory promised, ReceiptEvidence memory evidence)
        private
        pure
        returns (uint256)
    {
        bool isPart = evidence.isHeld && evidence.orderHash == HASH;
        int256 lots = int256(promised.filledLots) - (isPart ? int256(evidence.filledLots) : int256(0));
        int256 cash = promised.filledCash - (isPart ? evidence.filledCash : int256(0));
        int256 worth = cash + (life.isBuy ? lots : -lots) * evidence.markPerLot;
        return uint256(worth < 0 ? -worth : worth);
    }

    /// @notice Lots beyond a cancel are convicted by the state that their settlement belongs to.
    function testFuzz_fill_after_a_cancel_is_convicted(uint256 seed) external pure {
        Life memory life = lifeOf(seed);
        if (life.count == 1) return;
        ReceiptPromise memory promised = promiseOf(life, life.count - 2, true);
        uint256 settledMs = life.settledMs[life.count - 1];
        bool isSeen = false;
        bool isConvicted = false;
        for (uint256 state = 0; state < life.states; ++state) {
            ReceiptEvidence memory evidence = evidenceAt(life, state, life.count);
            (uint8 verdict,) = ReceiptJudge.judge(promised, evidence);
            bool isShown = evidence.timeMs >= settledMs && evidence.previousMs <= settledMs;
            bool isRecycled = life.recycledMs != 0 && evidence.timeMs >= life.recycledMs;
            isSeen = isSeen || (isShown && !isRecycled);
            isConvicted = isConvicted || verdict == ReceiptJudge.EXCESS;
        }
        vm.assertTrue(isConvicted == isSeen);
    }
}
