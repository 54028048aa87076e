// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cells} from "../lib/Cells.sol";
import {Limits} from "../lib/Limits.sol";
import {ParameterReader} from "../lib/ParameterStore.sol";
import {PayloadReader} from "../lib/PayloadReader.sol";
import {RejectionCodes} from "../lib/RejectionCodes.sol";
import {Signatures} from "../lib/Signatures.sol";
import {Cell, StateWitness} from "../lib/StateWitness.sol";
import {Run} from "./CycleRule.sol";
import {RingSlots} from "./RingSlots.sol";
import {Traders} from "./Traders.sol";

/// @notice One order's netted change, as the payload has it.
struct Entry {
    /// @dev Calldata offset of the legs (instrument u24, ratio i16), and of what follows them.
    uint256 legs;
    uint256 order;
    /// @dev Calldata offset of what follows the signature.
    uint256 fill;
    /// @dev Calldata offset of the next entry.
    uint256 next;
    int256 size;
    uint256 nonce;
    uint256 filledLots;
    int256 cash;
    uint256 fee;
    /// @dev Cell of the first leg's instrument.
    Cell first;
    uint256 legCount;
}

/// @title One order's netted change in one cycle
/// @notice packages/ledger/src/kinds/entry.ts: checks 402 … 415 in that order; the ring slot is written when all hold.
library TradeEntries {
    using StateWitness for *;

    uint256 private constant REDUCE_ONLY = 1;

    /// @notice Reads the entry at calldata offset `offset`. The payload is canonical.
    function read(uint256 offset) internal pure returns (Entry memory entry) {
        unchecked {
            entry.legCount = PayloadReader.read8(offset);
            entry.legs = offset + 1;
            uint256 order = offset + 1 + PayloadReader.TRADE_LEG_BYTES * entry.legCount;
            entry.order = order;
            uint256 hasSignature = PayloadReader.read8(order + PayloadReader.ENTRY_HAS_SIGNATURE);
            uint256 fill = order + PayloadReader.ENTRY_SIGNATURE + 64 * hasSignature;
            entry.fill = fill;
            entry.next = fill + PayloadReader.FILL_BYTES;
            entry.size = PayloadReader.readSigned32(order + PayloadReader.ENTRY_SIZE);
            entry.nonce = PayloadReader.read(order + PayloadReader.ENTRY_NONCE, 6);
            entry.filledLots = PayloadReader.read(fill + PayloadReader.FILL_LOTS, 4);
            entry.cash = PayloadReader.readSigned64(fill + PayloadReader.FILL_CASH);
            entry.fee = PayloadReader.read(fill + PayloadReader.FILL_FEE, 6);
        }
    }

    function isReduceOnly(Entry memory entry) internal pure returns (bool) {
        return PayloadReader.read8(entry.order + PayloadReader.ENTRY_FLAGS) & REDUCE_ONLY != 0;
    }

    function legInstrument(Entry memory entry, uint256 leg) internal pure returns (uint256) {
        return PayloadReader.read(entry.legs + PayloadReader.TRADE_LEG_BYTES * leg, 3);
    }

    function legRatio(Entry memory entry, uint256 leg) internal pure returns (int256 ratio) {
        ratio = int256(PayloadReader.read(entry.legs + PayloadReader.TRADE_LEG_BYTES * leg + 3, 2));
        assembly ("memory-safe") {
            ratio := signextend(1, ratio)
        }
    }

    /// @notice Checks the entry and writes its ring slot. `withEpoch`: also that the underlying's epoch is closed, for which
    /// the witness must have it.
    function settle(Run memory run, Cell memory account, Entry memory entry, bool withEpoch)
        internal
        view
        returns (uint256 code)
    {
        code = _legsCode(run, entry);
        if (code != 0) return code;
        if (withEpoch && _isEpochOpen(run, entry)) return RejectionCodes.TRADE_EPOCH_OPEN;
        code = _timeCode(run, entry);
        if (code != 0) return code;
        uint256 minNonce = Cells.read(Cells.tail(account.data) + Cells.TAIL_MIN_NONCE, 6);
        if (entry.nonce < minNonce) return RejectionCodes.TRADE_BELOW_MIN_NONCE;
        bytes32 digest = _orderHash(run, account, entry);
        Cell memory slot = account.ring.find(entry.nonce % Limits.RING_SLOTS);
        if (_isSlotRefusing(run, slot, entry.nonce, digest)) return RejectionCodes.TRADE_RING_SLOT;
        bool isHeld = slot.length > 0 && Cells.read(slot.data, 6) == entry.nonce;
        if (!_isAuthorised(account, entry, digest, isHeld)) return RejectionCodes.TRADE_NOT_AUTHORISED;
        return _fill(run, slot, entry, digest, isHeld);
    }

    // ── legs ───────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @dev Legs share underlying and tick value: only then is one net price in ticks meaningful.
    function _legsCode(Run memory run, Entry memory entry) private pure returns (uint256) {
        unchecked {
            bool areTradable = true;
            for (uint256 leg = 0; leg < entry.legCount; ++leg) {
                uint256 number = legInstrument(entry, leg);
                Cell memory cell = run.state.instruments.find(number);
                if (cell.length == 0 || legRatio(entry, leg) == 0) return RejectionCodes.TRADE_LEGS_INVALID;
                if (leg == 0) entry.first = cell;
                else if (!_areAlike(entry.first.data, cell.data)) return RejectionCodes.TRADE_LEGS_INVALID;
                for (uint256 other = 0; other < leg; ++other) {
                    if (legInstrument(entry, other) == number) return RejectionCodes.TRADE_LEGS_INVALID;
                }
                if (!Cells.isTradable(cell.data, run.timeMs)) areTradable = false;
            }
            return areTradable ? 0 : RejectionCodes.TRADE_INSTRUMENT_NOT_TRADABLE;
        }
    }

    function _areAlike(uint256 one, uint256 other) private pure returns (bool) {
        unchecked {
            return Cells.read(one + Cells.INSTRUMENT_TICK_VALUE, 4)
                    == Cells.read(other + Cells.INSTRUMENT_TICK_VALUE, 4)
                && Cells.read(one + Cells.INSTRUMENT_UNDERLYING, 2)
                    == Cells.read(other + Cells.INSTRUMENT_UNDERLYING, 2);
        }
    }

    function _isEpochOpen(Run memory run, Entry memory entry) private pure returns (bool) {
        uint256 number = Cells.read(entry.first.data + Cells.INSTRUMENT_UNDERLYING, 2);
        Cell memory underlying = run.state.underlyings.find(number);
        return underlying.length == 0 || Cells.read8(underlying.data + Cells.UNDERLYING_EPOCH_OPEN) != 0;
    }

    // ── order ──────────────────────────────────────────────────────────────────────────────────────────────────────

    function _timeCode(Run memory run, Entry memory entry) private pure returns (uint256) {
        unchecked {
            uint256 startMs = PayloadReader.read(entry.order + PayloadReader.ENTRY_START_MS, 6);
            uint256 expiryMs = PayloadReader.read(entry.order + PayloadReader.ENTRY_EXPIRY_MS, 6);
            if (run.timeMs < startMs) return RejectionCodes.TRADE_NOT_STARTED;
            if (run.timeMs >= expiryMs) return RejectionCodes.TRADE_EXPIRED;
            return expiryMs > startMs + Limits.ORDER_LIFETIME_MAX_MS ? RejectionCodes.TRADE_LIFETIME : 0;
        }
    }

    /// @dev The digest that a trader signs, which is the order's identity in the ring. Memory above the free pointer is scratch.
    function _orderHash(Run memory run, Cell memory account, Entry memory entry) private pure returns (bytes32) {
        unchecked {
            uint256 words;
            assembly ("memory-safe") {
                words := mload(0x40)
            }
            uint256 order = entry.order;
            bytes32 legs = _legsHash(entry, words);
            Cells.writeWord(words, Signatures.ORDER_TYPE_HASH);
            Cells.writeWord(words + 32, bytes32(run.parameters.domain));
            Cells.writeWord(words + 64, bytes32(account.index));
            Cells.writeWord(words + 96, legs);
            Cells.writeWord(words + 128, bytes32(uint256(entry.size)));
            int256 limitPrice = PayloadReader.readSigned32(order + PayloadReader.ENTRY_LIMIT_PRICE);
            Cells.writeWord(words + 160, bytes32(uint256(limitPrice)));
            Cells.writeWord(words + 192, bytes32(PayloadReader.read(order + PayloadReader.ENTRY_MAX_FEE_PER_LOT, 5)));
            Cells.writeWord(words + 224, bytes32(entry.nonce));
            Cells.writeWord(words + 256, bytes32(PayloadReader.read(order + PayloadReader.ENTRY_START_MS, 6)));
            Cells.writeWord(words + 288, bytes32(PayloadReader.read(order + PayloadReader.ENTRY_EXPIRY_MS, 6)));
            Cells.writeWord(words + 320, bytes32(PayloadReader.read8(order + PayloadReader.ENTRY_FLAGS)));
            bytes32 structHash;
            assembly ("memory-safe") {
                structHash := keccak256(words, 352)
            }
            return Signatures.digest(run.parameters.separator, structHash);
        }
    }

    /// @dev Three words a leg and one hash a leg, above `words`.
    function _legsHash(Entry memory entry, uint256 words) private pure returns (bytes32 value) {
        unchecked {
            uint256 hashes = words + 96;
            Cells.writeWord(words, Signatures.LEG_TYPE_HASH);
            for (uint256 leg = 0; leg < entry.legCount; ++leg) {
                Cells.writeWord(words + 32, bytes32(legInstrument(entry, leg)));
                Cells.writeWord(words + 64, bytes32(uint256(legRatio(entry, leg))));
                assembly ("memory-safe") {
                    mstore(add(hashes, mul(leg, 32)), keccak256(words, 96))
                }
            }
            uint256 length = 32 * entry.legCount;
            assembly ("memory-safe") {
                value := keccak256(hashes, length)
            }
        }
    }

    /// @dev A higher nonce killed the order, the nonce belongs to another order, or a lower nonce is still under receipts.
    function _isSlotRefusing(Run memory run, Cell memory slot, uint256 nonce, bytes32 digest)
        private
        pure
        returns (bool)
    {
        unchecked {
            if (slot.length == 0) return false;
            uint256 held = Cells.read(slot.data, 6);
            if (held < nonce) return Cells.read(slot.data + Cells.RING_RECEIPT_DEADLINE_MS, 8) >= run.timeMs;
            return held > nonce || Cells.readWord(slot.data + Cells.RING_ORDER_HASH) != digest;
        }
    }

    /// @dev Without a signature the ring must hold the order: its first settlement proved the authorisation.
    function _isAuthorised(Cell memory account, Entry memory entry, bytes32 digest, bool isHeld)
        private
        view
        returns (bool)
    {
        unchecked {
            if (PayloadReader.read8(entry.order + PayloadReader.ENTRY_HAS_SIGNATURE) == 0) return isHeld;
            uint256 expiryMs = PayloadReader.read(entry.order + PayloadReader.ENTRY_EXPIRY_MS, 6);
            return Traders.hasSigned(account, digest, entry.order + PayloadReader.ENTRY_SIGNATURE, expiryMs);
        }
    }

    // ── fill ───────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @dev Checks 411 … 415, then the slot. Lots below 2^33, cash below 2^54, fees below 2^48.
    function _fill(Run memory run, Cell memory slot, Entry memory entry, bytes32 digest, bool isHeld)
        private
        pure
        returns (uint256)
    {
        unchecked {
            uint256 filledLots = entry.filledLots;
            int256 filledCash = entry.cash;
            if (isHeld) {
                filledLots += Cells.read(slot.data + Cells.RING_FILLED_LOTS, 4);
                filledCash += Cells.readSigned64(slot.data + Cells.RING_FILLED_CASH);
            }
            if (entry.size == 0 || entry.filledLots == 0 || filledLots > Cells.absolute(entry.size)) {
                return RejectionCodes.TRADE_OVERFILLED;
            }
            if (!_meetsLimit(entry)) return RejectionCodes.TRADE_LIMIT_NOT_MET;
            if (!_isFeeWithinSchedule(run, entry)) return RejectionCodes.TRADE_FEE_ABOVE_SCHEDULE;
            uint256 maxFeePerLot = PayloadReader.read(entry.order + PayloadReader.ENTRY_MAX_FEE_PER_LOT, 5);
            if (entry.fee > maxFeePerLot * entry.filledLots) return RejectionCodes.TRADE_FEE_ABOVE_MAXIMUM;
            if (!Cells.isSafe(filledCash)) return RejectionCodes.TRADE_BOUNDS;
            for (uint256 leg = 0; leg < entry.legCount; ++leg) {
                uint256 lots = Cells.absolute(legRatio(entry, leg)) * entry.filledLots;
                if (lots > uint256(Cells.INT32_MAX)) return RejectionCodes.TRADE_BOUNDS;
            }
            RingSlots.write(run, slot, entry.nonce, digest, filledLots, filledCash);
            return 0;
        }
    }

    /// @dev Cash at the limit price is −sign(size)·price·lots·tickValue; more is better for either side.
    function _meetsLimit(Entry memory entry) private pure returns (bool) {
        unchecked {
            int256 tickValue = int256(Cells.read(entry.first.data + Cells.INSTRUMENT_TICK_VALUE, 4));
            int256 atLimit = PayloadReader.readSigned32(entry.order + PayloadReader.ENTRY_LIMIT_PRICE)
                * int256(entry.filledLots) * tickValue;
            return entry.cash >= (entry.size > 0 ? -atLimit : atLimit);
        }
    }

    function _isFeeWithinSchedule(Run memory run, Entry memory entry) private pure returns (bool) {
        unchecked {
            uint256 perLot = 0;
            for (uint256 leg = 0; leg < entry.legCount; ++leg) {
                Cell memory cell = leg == 0 ? entry.first : run.state.instruments.find(legInstrument(entry, leg));
                uint256 feePerLot = Cells.read(cell.data + Cells.INSTRUMENT_FEE_PER_LOT, 5);
                perLot += feePerLot * Cells.absolute(legRatio(entry, leg));
            }
            if (entry.fee > perLot * entry.filledLots) return false;
            if (entry.legCount > 1 || !Cells.isOption(entry.first.data)) return true;
            int256 divisor = ParameterReader.scalar(run.parameters, ParameterReader.OPTION_FEE_PRICE_DIVISOR);
            // Floor by the comparison of integers: fee ≤ |cash| / divisor.
            return entry.fee * uint256(divisor) <= Cells.absolute(entry.cash);
        }
    }
}
