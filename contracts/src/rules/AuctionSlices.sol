// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cells} from "../lib/Cells.sol";
import {Limits} from "../lib/Limits.sol";
import {Margin, MarginFigures} from "../lib/Margin.sol";
import {ParameterReader} from "../lib/ParameterStore.sol";
import {PayloadReader} from "../lib/PayloadReader.sol";
import {RejectionCodes} from "../lib/RejectionCodes.sol";
import {Cell, StateWitness} from "../lib/StateWitness.sol";
import {WaterfallPayloads} from "../lib/WaterfallPayloads.sol";
import {Run} from "./CycleRule.sol";

/// @title The slice that a bid takes: its lots, its value and what the curve gives away
/// @dev Of every position trunc(size·parts/1000) lots, toward zero, are the slice. Unchecked: sizes and lots are below 2^31, rows
/// below 2^40, positions at most 128; margins of any witness are below 2^100, times are below 2^54 and 2^27.
library AuctionSlices {
    using StateWitness for *;

    // ── auction ────────────────────────────────────────────────────────────────────────────────────────────────────

    function durationMs(Run memory run) internal pure returns (uint256) {
        return uint256(ParameterReader.scalar(run.parameters, ParameterReader.AUCTION_DURATION_MS));
    }

    /// @notice Of a running auction: since its start, up to its duration.
    function elapsedMs(Run memory run, Cell memory account) internal pure returns (uint256 elapsed) {
        unchecked {
            elapsed = run.timeMs - Cells.read(Cells.tail(account.data) + Cells.TAIL_AUCTION_MS, 8);
            uint256 duration = durationMs(run);
            if (elapsed > duration) elapsed = duration;
        }
    }

    function declaredDiscount(Run memory run) internal pure returns (uint256) {
        return PayloadReader.read(run.body + WaterfallPayloads.BID_DISCOUNT, 8);
    }

    /// @notice What the bidder pays by what is declared: the slice's value less the discount.
    function payment(Run memory run) internal pure returns (int256) {
        unchecked {
            return legsValue(run) - int256(declaredDiscount(run));
        }
    }

    /// @notice The elapsed share of the maintenance that a slice releases, and the account's share of it.
    /// @return value floor: against the bidder
    /// @return fromAccount floor: the insurance bears the remainder
    function discount(Run memory run, MarginFigures memory start, int256 maintenanceAfter, uint256 elapsed)
        internal
        pure
        returns (int256 value, int256 fromAccount)
    {
        unchecked {
            int256 released = start.maintenance - maintenanceAfter;
            if (released <= 0) return (0, 0);
            value = released * int256(elapsed) / int256(durationMs(run));
            // Maintenance is above what is released, which is above 0.
            if (start.equity > 0) fromAccount = start.equity * released / start.maintenance;
            if (fromAccount > value) fromAccount = value;
        }
    }

    // ── legs ───────────────────────────────────────────────────────────────────────────────────────────────────────

    function _sliceTrunc(int256 size, uint256 parts) private pure returns (int256) {
        unchecked {
            return size * int256(parts) / int256(Limits.AUCTION_PARTS);
        }
    }

    /// @notice 1308: the legs are the slice of the account's positions; 1309: all of them trade.
    function legsCode(Run memory run, Cell memory account) internal pure returns (uint256) {
        unchecked {
            uint256 parts = PayloadReader.read(run.body + WaterfallPayloads.BID_PARTS, 2);
            uint256 leg = run.body + WaterfallPayloads.BID_LEGS;
            uint256 position = Cells.tail(account.data) + Cells.TAIL_POSITIONS;
            uint256 end = position + Cells.POSITION_BYTES * Cells.positionCount(account.data);
            for (; position < end; position += Cells.POSITION_BYTES) {
                int256 lots = _sliceTrunc(Cells.readSigned32(position + Cells.POSITION_SIZE), parts);
                if (lots == 0) continue;
                bool isDeclared = leg < run.end && PayloadReader.read(leg, 3) == Cells.read(position, 3)
                    && PayloadReader.readSigned32(leg + WaterfallPayloads.BID_LEG_LOTS) == lots;
                if (!isDeclared) return RejectionCodes.AUCTION_LEGS;
                leg += WaterfallPayloads.BID_LEG_BYTES;
            }
            if (leg != run.end) return RejectionCodes.AUCTION_LEGS;
            return areTradable(run) ? 0 : RejectionCodes.AUCTION_NOT_TRADABLE;
        }
    }

    function areTradable(Run memory run) internal pure returns (bool) {
        unchecked {
            uint256 leg = run.body + WaterfallPayloads.BID_LEGS;
            for (; leg < run.end; leg += WaterfallPayloads.BID_LEG_BYTES) {
                Cell memory instrument = run.state.instruments.find(PayloadReader.read(leg, 3));
                if (instrument.length == 0 || !Cells.isTradable(instrument.data, run.timeMs)) return false;
            }
            return true;
        }
    }

    /// @notice Σ lots·mark over the legs, whose instruments exist.
    function legsValue(Run memory run) internal pure returns (int256 value) {
        unchecked {
            uint256 leg = run.body + WaterfallPayloads.BID_LEGS;
            for (; leg < run.end; leg += WaterfallPayloads.BID_LEG_BYTES) {
                Cell memory instrument = run.state.instruments.find(PayloadReader.read(leg, 3));
                value += PayloadReader.readSigned32(leg + WaterfallPayloads.BID_LEG_LOTS)
                * int256(Cells.rowValue(instrument.data, 0));
            }
        }
    }

    /// @notice Hash of the legs' bytes where the bid binds them, else 0: whatever the slice is then.
    function boundLegs(Run memory run) internal pure returns (bytes32 hash) {
        if (PayloadReader.read8(run.body + WaterfallPayloads.BID_BINDS_LEGS) == 0) return 0;
        uint256 legs = run.body + WaterfallPayloads.BID_LEGS;
        uint256 end = run.end;
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, legs, sub(end, legs))
            hash := keccak256(free, sub(end, legs))
        }
    }

    /// @notice Legs in instruments that the bidder does not hold.
    function newCount(Run memory run, Cell memory bidder) internal pure returns (uint256 count) {
        unchecked {
            uint256 leg = run.body + WaterfallPayloads.BID_LEGS;
            for (; leg < run.end; leg += WaterfallPayloads.BID_LEG_BYTES) {
                (, bool isHeld) = Cells.findPosition(bidder.data, PayloadReader.read(leg, 3));
                if (!isHeld) count += 1;
            }
        }
    }

    // ── the account without a slice ────────────────────────────────────────────────────────────────────────────────

    /// @notice Whether cash stays within its bound with `change` and the funding of the legs' positions, which the account holds.
    function isCashSafe(Run memory run, Cell memory account, int256 change) internal pure returns (bool) {
        unchecked {
            change += Cells.cash(account.data);
            uint256 leg = run.body + WaterfallPayloads.BID_LEGS;
            for (; leg < run.end; leg += WaterfallPayloads.BID_LEG_BYTES) {
                uint256 number = PayloadReader.read(leg, 3);
                (uint256 position,) = Cells.findPosition(account.data, number);
                change += Cells.pendingFundingFloor(run.state.instruments.find(number).data, position);
            }
            return Cells.isSafe(change);
        }
    }

    /// @notice Figures of the account with `parts` parts less of every position. Positions of size 0 require nothing.
    function figuresWithout(Run memory run, Cell memory account, uint256 parts)
        internal
        pure
        returns (MarginFigures memory figures)
    {
        Cell memory rest;
        rest.data = account.data;
        rest.length = account.length;
        rest.grow(0);
        unchecked {
            uint256 position = Cells.tail(rest.data) + Cells.TAIL_POSITIONS;
            uint256 end = position + Cells.POSITION_BYTES * Cells.positionCount(rest.data);
            for (; position < end; position += Cells.POSITION_BYTES) {
                int256 size = Cells.readSigned32(position + Cells.POSITION_SIZE);
                Cells.write(position + Cells.POSITION_SIZE, 4, uint256(size - _sliceTrunc(size, parts)));
            }
        }
        return Margin.valuesOf(run.state, rest.data, run.parameters);
    }
}
