// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What a final state shows of a receipt's order, and where that state stands among the final ones.
struct ReceiptEvidence {
    /// @dev Ledger time of the state, and of the final states before and after it. `nextMs` 0 = there is none.
    uint256 timeMs;
    uint256 previousMs;
    uint256 nextMs;
    /// @dev The venue is frozen and this is the state that it is wound up with: no later one will come.
    bool isAnchor;
    /// @dev Last drop of batches on the chain; 0 = there was none.
    uint256 lastDropMs;
    /// @dev The order's ring slot.
    bool isHeld;
    uint256 nonce;
    bytes32 orderHash;
    uint256 filledLots;
    int256 filledCash;
    uint256 slotDeadlineMs;
    /// @dev Σ ratio · mark of the legs, micro-USDC per lot of the order; instruments without a mark count as 0.
    int256 markPerLot;
    /// @dev Tick value of the first leg.
    int256 tickValue;
}

/// @notice The promise and the terms of the order that its judgement needs.
struct ReceiptPromise {
    bool isCancel;
    uint256 nonce;
    bytes32 orderHash;
    uint256 filledLots;
    int256 filledCash;
    uint256 deadlineMs;
    bool isBuy;
    int256 limitPrice;
    uint256 receiptPeriodMs;
}

/// @title Was a receipt kept?
/// @notice docs/spec/receipts.md, Judgement; packages/settlement/src/receipts.ts is the same in TypeScript. For each promise at
/// most one state of a chain decides, so nobody picks the mark that suits him.
/// @dev Numbers of receipts are below 2^64, ratios below 2^31, marks below 2^40, legs at most four: no product reaches 2^128.
library ReceiptJudge {
    uint8 internal constant KEPT = 0;
    /// @notice Fewer lots are settled than were promised.
    uint8 internal constant MISSING = 1;
    /// @notice Enough lots, but cash that the order's limit does not explain.
    uint8 internal constant CASH_WORSE = 2;
    /// @notice More lots are settled than were open when the order was cancelled.
    uint8 internal constant EXCESS = 3;
    /// @notice The deadline has not passed at this state.
    uint8 internal constant NOT_MATURED = 4;
    /// @notice An earlier or later final state decides.
    uint8 internal constant NOT_DECISIVE = 5;
    /// @notice A later order has taken the slot: the state says nothing.
    uint8 internal constant RECYCLED = 6;

    function isBroken(uint8 verdict) internal pure returns (bool) {
        return verdict == MISSING || verdict == CASH_WORSE || verdict == EXCESS;
    }

    /// @return verdict one of the constants above
    /// @return damage in micro-USDC, exact; without fixed part and cap; 0 unless broken
    function judge(ReceiptPromise memory promised, ReceiptEvidence memory evidence)
        internal
        pure
        returns (uint8 verdict, uint256 damage)
    {
        return promised.isCancel ? _judgeCancel(promised, evidence) : _judgeFill(promised, evidence);
    }

    /// @notice A drop before the deadline gives the sequencer a whole period from then on to settle again, but never more than
    /// one period beyond the deadline, however many drops there were.
    function movedDeadlineMs(uint256 deadlineMs, uint256 lastDropMs, uint256 periodMs)
        internal
        pure
        returns (uint256 movedMs)
    {
        uint256 dropMs = lastDropMs < deadlineMs ? lastDropMs : deadlineMs;
        movedMs = dropMs + periodMs;
        if (lastDropMs == 0 || movedMs < deadlineMs) movedMs = deadlineMs;
    }

    function _judgeFill(ReceiptPromise memory promised, ReceiptEvidence memory evidence)
        private
        pure
        returns (uint8, uint256)
    {
        if (evidence.isHeld && evidence.nonce > promised.nonce) {
            // The ring keeps a settled order's slot until its deadline, which is not before the receipt's own: a later order
            // there by then shows that this one was never settled.
            if (evidence.timeMs > promised.deadlineMs) return (RECYCLED, 0);
            if (!evidence.isAnchor && evidence.nextMs <= promised.deadlineMs) return (NOT_DECISIVE, 0);
            return _judgeSettled(promised, evidence);
        }
        uint256 movedMs = movedDeadlineMs(promised.deadlineMs, evidence.lastDropMs, promised.receiptPeriodMs);
        if (evidence.timeMs <= movedMs) {
            if (!evidence.isAnchor) return (NOT_MATURED, 0);
        } else if (evidence.previousMs > movedMs) {
            return (NOT_DECISIVE, 0);
        }
        return _judgeSettled(promised, evidence);
    }

    function _judgeSettled(ReceiptPromise memory promised, ReceiptEvidence memory evidence)
        private
        pure
        returns (uint8, uint256)
    {
        (uint256 lots, int256 cash) = _settled(promised, evidence);
        if (lots < promised.filledLots) return (MISSING, _difference(promised, evidence, lots, cash));
        // Further fills may cost up to the limit.
        int256 atLimit = promised.limitPrice * int256(lots - promised.filledLots) * evidence.tickValue;
        int256 worstCash = promised.filledCash + (promised.isBuy ? -atLimit : atLimit);
        return cash < worstCash ? (CASH_WORSE, uint256(worstCash - cash)) : (KEPT, uint256(0));
    }

    function _judgeCancel(ReceiptPromise memory promised, ReceiptEvidence memory evidence)
        private
        pure
        returns (uint8, uint256)
    {
        (uint256 lots, int256 cash) = _settled(promised, evidence);
        if (lots <= promised.filledLots) return (KEPT, 0);
        // The state that the last settlement of the order belongs to, which is a period before the slot's deadline.
        uint256 periodMs = promised.receiptPeriodMs;
        uint256 settledMs = evidence.slotDeadlineMs < periodMs ? 0 : evidence.slotDeadlineMs - periodMs;
        if (settledMs < evidence.previousMs || settledMs > evidence.timeMs) return (NOT_DECISIVE, 0);
        return (EXCESS, _difference(promised, evidence, lots, cash));
    }

    /// @dev Nothing of the order is settled where its slot holds an older one or another of the same nonce.
    function _settled(ReceiptPromise memory promised, ReceiptEvidence memory evidence)
        private
        pure
        returns (uint256 lots, int256 cash)
    {
        bool isSame =
            evidence.isHeld && evidence.nonce == promised.nonce && evidence.orderHash == promised.orderHash;
        if (isSame) return (evidence.filledLots, evidence.filledCash);
    }

    /// @dev lots · |price − mark| of what is missing or too much: |Δcash + Δlots · mark|, an integer as it stands.
    function _difference(ReceiptPromise memory promised, ReceiptEvidence memory evidence, uint256 lots, int256 cash)
        private
        pure
        returns (uint256)
    {
        int256 missingLots = int256(promised.filledLots) - int256(lots);
        if (!promised.isBuy) missingLots = -missingLots;
        int256 value = promised.filledCash - cash + missingLots * evidence.markPerLot;
        return uint256(value < 0 ? -value : value);
    }
}
