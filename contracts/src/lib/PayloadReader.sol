// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cells} from "./Cells.sol";
import {Limits} from "./Limits.sol";
import {RejectionCodes} from "./RejectionCodes.sol";
import {Weights} from "./Weights.sol";

/// @title Cycle payloads: the canonical decoder as a check
/// @notice docs/spec/ledger.md, Cycle payloads. For any bytes the functions answer with the code that decodeCycle and the limits
/// of packages/ledger give, or 0; after 0 rules read the fields where they lie, without further checks.
/// @dev Total: nothing reverts. Offsets are absolute calldata offsets; what lies beyond a payload's end is never used, as
/// every length is compared before. All sums of offsets stay far below 2^64.
library PayloadReader {
    uint256 internal constant HEADER_BYTES = 10;
    uint256 private constant SAFE_LIMIT = 2 ** 53;
    uint256 private constant U48_LIMIT = 2 ** 48;

    // Layout of the fixed parts, from their first byte.
    uint256 internal constant QUORUM_SIGNATURE_BYTES = 65;
    uint256 internal constant TRADE_ACCOUNT_BYTES = 5;
    uint256 internal constant TRADE_LEG_BYTES = 5;
    /// @dev Of an entry without legs and signature.
    uint256 internal constant TRADE_ENTRY_FIXED_BYTES = 52;
    /// @dev From the end of the legs.
    uint256 internal constant ENTRY_SIZE = 0;
    uint256 internal constant ENTRY_LIMIT_PRICE = 4;
    uint256 internal constant ENTRY_MAX_FEE_PER_LOT = 8;
    uint256 internal constant ENTRY_NONCE = 13;
    uint256 internal constant ENTRY_START_MS = 19;
    uint256 internal constant ENTRY_EXPIRY_MS = 25;
    uint256 internal constant ENTRY_FLAGS = 31;
    uint256 internal constant ENTRY_HAS_SIGNATURE = 32;
    uint256 internal constant ENTRY_SIGNATURE = 33;
    /// @dev From the end of the signature.
    uint256 internal constant FILL_LOTS = 0;
    uint256 internal constant FILL_CASH = 4;
    uint256 internal constant FILL_FEE = 12;
    uint256 internal constant FILL_BYTES = 18;
    uint256 internal constant OUTBOUND_BYTES = 118;
    uint256 internal constant LIQUIDATION_LEG_BYTES = 21;

    // ── integers ───────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice The little-endian unsigned integer of `size` bytes (1 to 8) at `offset`.
    function read(uint256 offset, uint256 size) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := shr(192, calldataload(offset))
        }
        value = Cells.reverse64(value);
        assembly ("memory-safe") {
            value := and(value, sub(shl(shl(3, size), 1), 1))
        }
    }

    function read8(uint256 offset) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := byte(0, calldataload(offset))
        }
    }

    function readSigned64(uint256 offset) internal pure returns (int256 value) {
        value = int256(read(offset, 8));
        assembly ("memory-safe") {
            value := signextend(7, value)
        }
    }

    function readSigned32(uint256 offset) internal pure returns (int256 value) {
        value = int256(read(offset, 4));
        assembly ("memory-safe") {
            value := signextend(3, value)
        }
    }

    /// @notice The big-endian unsigned integer of `size` bytes at `offset`: inbound entries.
    function readBig(uint256 offset, uint256 size) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := shr(sub(256, shl(3, size)), calldataload(offset))
        }
    }

    function readWord(uint256 offset) internal pure returns (bytes32 value) {
        assembly ("memory-safe") {
            value := calldataload(offset)
        }
    }

    function isSafeUnsigned(uint256 offset) internal pure returns (bool) {
        return read(offset, 8) < SAFE_LIMIT;
    }

    function isSafeSigned(uint256 offset) internal pure returns (bool) {
        return Cells.isSafe(readSigned64(offset));
    }

    // ── header ─────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Place and end of the payload's body. `isKnown` is false where version or header are malformed or the time is
    /// no safe integer; the kind is compared by the caller.
    function header(bytes calldata payload)
        internal
        pure
        returns (bool isKnown, uint256 kind, uint256 timeMs, uint256 offset, uint256 end)
    {
        unchecked {
            assembly ("memory-safe") {
                offset := payload.offset
                end := add(offset, payload.length)
            }
            if (payload.length < HEADER_BYTES || read8(offset) != Limits.PAYLOAD_VERSION) {
                return (false, 0, 0, offset, end);
            }
            kind = read8(offset + 1);
            timeMs = read(offset + 2, 8);
            isKnown = timeMs < SAFE_LIMIT;
            offset += HEADER_BYTES;
        }
    }

    /// @notice The codes that precede every kind's own, for a payload that decodes.
    function generalCode(uint256 timeMs, uint256 stateTimeMs, uint256 length, uint256 weight)
        internal
        pure
        returns (uint256)
    {
        if (timeMs >= U48_LIMIT) return RejectionCodes.MALFORMED;
        if (timeMs < stateTimeMs) return RejectionCodes.TIME_NOT_MONOTONIC;
        bool isTooLarge = length > Limits.CYCLE_BYTES_MAX || weight > Limits.CYCLE_WEIGHT_MAX;
        return isTooLarge ? RejectionCodes.LIMIT_EXCEEDED : 0;
    }

    // ── parts ──────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @dev (count u8, (signer u8, signature 64)…). `next` is 0 where it is malformed; so below.
    function _signatures(uint256 offset, uint256 end) private pure returns (uint256 next) {
        unchecked {
            if (offset + 1 > end) return 0;
            uint256 count = read8(offset);
            next = offset + 1 + QUORUM_SIGNATURE_BYTES * count;
            if (count > Limits.ORACLES_MAX || next > end) return 0;
        }
    }

    /// @dev (count u8, instrument u24…), strictly increasing.
    function _instruments(uint256 offset, uint256 end, uint256 least, uint256 most)
        private
        pure
        returns (uint256 next)
    {
        unchecked {
            if (offset + 1 > end) return 0;
            uint256 count = read8(offset);
            next = offset + 1 + 3 * count;
            if (count < least || count > most || next > end) return 0;
            uint256 floor = 0;
            for (uint256 i = offset + 1; i < next; i += 3) {
                uint256 instrument = read(i, 3);
                if (instrument < floor) return 0;
                floor = instrument + 1;
            }
        }
    }

    // ── kinds ──────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice underlying u16, reportMs u64, index u64, premium i64, surfaces, signatures.
    /// @return isCanonical whether the body decodes
    /// @return signatures where the signatures begin: the signed content ends there
    function report(uint256 offset, uint256 end) internal pure returns (bool isCanonical, uint256 signatures) {
        unchecked {
            if (offset + 27 > end) return (false, 0);
            if (!isSafeUnsigned(offset + 2) || !isSafeUnsigned(offset + 10) || !isSafeSigned(offset + 18)) {
                return (false, 0);
            }
            uint256 count = read8(offset + 26);
            signatures = offset + 27 + Cells.SURFACE_BYTES * count;
            if (count > Limits.EXPIRIES_MAX || signatures > end) return (false, 0);
            for (uint256 surface = offset + 27; surface < signatures; surface += Cells.SURFACE_BYTES) {
                for (uint256 field = 0; field < 24; field += 8) {
                    if (!isSafeUnsigned(surface + field)) return (false, 0);
                }
                for (uint256 field = 24; field < 64; field += 8) {
                    if (!isSafeSigned(surface + field)) return (false, 0);
                }
            }
            isCanonical = _signatures(signatures, end) == end;
        }
    }

    /// @notice underlying u16, closesEpoch u8, instruments.
    function rows(uint256 offset, uint256 end) internal pure returns (bool) {
        unchecked {
            if (offset + 3 > end) return false;
            uint256 closes = read8(offset + 2);
            if (closes > 1) return false;
            return _instruments(offset + 3, end, 1 - closes, Limits.ROWS_PER_CYCLE_MAX) == end;
        }
    }

    /// @notice accountCount u8, accounts. `weights` receives what the limits need.
    function tradeAccounts(uint256 offset, uint256 end, Weights.Trade memory weights)
        internal
        pure
        returns (uint256 next)
    {
        unchecked {
            if (offset + 1 > end) return 0;
            uint256 count = read8(offset);
            if (count == 0) return 0;
            next = offset + 1;
            uint256 floor = 0;
            for (uint256 i = 0; i < count; ++i) {
                if (next + TRADE_ACCOUNT_BYTES > end) return 0;
                uint256 account = read(next, 3);
                if (account < floor) return 0;
                floor = account + 1;
                next = _tradeEntries(next, end, weights);
                if (next == 0) return 0;
            }
        }
    }

    function _tradeEntries(uint256 account, uint256 end, Weights.Trade memory weights)
        private
        pure
        returns (uint256 next)
    {
        unchecked {
            uint256 positionCount = read8(account + 3);
            uint256 count = read8(account + 4);
            if (positionCount > Limits.POSITIONS_MAX || count == 0) return 0;
            next = account + TRADE_ACCOUNT_BYTES;
            uint256 floor = 0;
            uint256 legs = 0;
            for (uint256 i = 0; i < count; ++i) {
                uint256 legCount = next < end ? read8(next) : 0;
                uint256 nonce;
                (next, nonce) = _tradeEntry(next, end, weights);
                if (next == 0 || nonce < floor) return 0;
                floor = nonce + 1;
                legs += legCount;
            }
            Weights.addAccount(weights, positionCount, count, legs);
        }
    }

    function _tradeEntry(uint256 offset, uint256 end, Weights.Trade memory weights)
        private
        pure
        returns (uint256 next, uint256 nonce)
    {
        unchecked {
            if (offset + 1 > end) return (0, 0);
            uint256 legs = offset + 1 + TRADE_LEG_BYTES * read8(offset);
            if (legs == offset + 1 || legs > offset + 1 + TRADE_LEG_BYTES * Limits.LEGS_MAX) return (0, 0);
            next = legs + TRADE_ENTRY_FIXED_BYTES - 1;
            if (next > end) return (0, 0);
            uint256 hasSignature = read8(legs + ENTRY_HAS_SIGNATURE);
            next += 64 * hasSignature;
            if (hasSignature > 1 || next > end) return (0, 0);
            Weights.addEntry(weights);
            for (uint256 leg = offset + 1; leg < legs; leg += TRADE_LEG_BYTES) {
                // −2^15
                if (read(leg + 3, 2) == 0x8000) return (0, 0);
                Weights.addInstrument(weights, read(leg, 3));
            }
            bool isOutOfRange =
                read(legs + ENTRY_SIZE, 4) == 0x80000000 || read(legs + ENTRY_LIMIT_PRICE, 4) == 0x80000000;
            if (isOutOfRange || read8(legs + ENTRY_FLAGS) > 1) return (0, 0);
            if (!isSafeSigned(next - FILL_BYTES + FILL_CASH)) return (0, 0);
            nonce = read(legs + ENTRY_NONCE, 6);
        }
    }

    /// @notice account u24, positionCount u8, legCount u8, (instrument u24, size i32, cash i64, fee u48)…, accounts as in trade.
    /// @return accounts where the counterparties begin; 0 where the body is malformed
    function liquidation(uint256 offset, uint256 end, Weights.Trade memory weights)
        internal
        pure
        returns (uint256 accounts)
    {
        unchecked {
            if (offset + 5 > end || read8(offset + 3) > Limits.POSITIONS_MAX) return 0;
            uint256 count = read8(offset + 4);
            accounts = offset + 5 + LIQUIDATION_LEG_BYTES * count;
            if (count == 0 || count > Limits.LIQUIDATION_LEGS_MAX || accounts > end) return 0;
            for (uint256 leg = offset + 5; leg < accounts; leg += LIQUIDATION_LEG_BYTES) {
                if (read(leg + 3, 4) == 0x80000000 || !isSafeSigned(leg + 7)) return 0;
                Weights.addInstrument(weights, read(leg, 3));
            }
            if (tradeAccounts(accounts, end, weights) != end) return 0;
        }
    }

    /// @notice underlying u16, expiryMs u64, settlementPrice u64, signatures, instruments, realisations.
    function expiry(uint256 offset, uint256 end) internal pure returns (bool) {
        unchecked {
            if (offset + 18 > end || !isSafeUnsigned(offset + 2) || !isSafeUnsigned(offset + 10)) return false;
            offset = _signatures(offset + 18, end);
            if (offset == 0) return false;
            offset = _instruments(offset, end, 0, Limits.EXPIRY_INSTRUMENTS_MAX);
            if (offset == 0 || offset + 1 > end) return false;
            uint256 count = read8(offset);
            if (count > Limits.REALISATIONS_PER_CYCLE_MAX) return false;
            offset += 1;
            for (uint256 i = 0; i < count; ++i) {
                if (offset + 4 > end || read8(offset + 3) > Limits.POSITIONS_MAX) return false;
                offset = _instruments(offset + 4, end, 1, Limits.POSITIONS_MAX);
                if (offset == 0) return false;
            }
            return offset == end;
        }
    }

    /// @notice count u8, (account u24, positionCount u8, asset u16, amount u64, destinationChain u64, recipient 20, nonce u48,
    /// expiryMs u48, signature 64)…
    function outbound(uint256 offset, uint256 end) internal pure returns (bool) {
        unchecked {
            if (offset + 1 > end) return false;
            uint256 count = read8(offset);
            if (count == 0 || count > Limits.OUTBOUND_PER_CYCLE_MAX) return false;
            if (offset + 1 + OUTBOUND_BYTES * count != end) return false;
            for (uint256 item = offset + 1; item < end; item += OUTBOUND_BYTES) {
                if (read8(item + 3) > Limits.POSITIONS_MAX) return false;
                if (!isSafeUnsigned(item + 6) || !isSafeUnsigned(item + 14)) return false;
            }
            return true;
        }
    }

    // ── inbound ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice count u8, entries (length u16, bytes)…
    /// @return code 0, MALFORMED, or INBOUND_QUEUE_ORDER where there is no entry or one does not decode
    /// @return weight what the entries and their witnesses weigh, without header and count
    function inbound(uint256 offset, uint256 end) internal pure returns (uint256 code, uint256 weight) {
        unchecked {
            if (offset + 1 > end) return (RejectionCodes.MALFORMED, 0);
            uint256 count = read8(offset);
            if (count == 0) return (RejectionCodes.INBOUND_QUEUE_ORDER, 0);
            if (count > Limits.INBOUND_PER_CYCLE_MAX) return (RejectionCodes.MALFORMED, 0);
            offset += 1;
            for (uint256 i = 0; i < count; ++i) {
                if (offset + 2 > end) return (RejectionCodes.MALFORMED, 0);
                uint256 length = read(offset, 2);
                if (offset + 2 + length > end) return (RejectionCodes.MALFORMED, 0);
                if (!_isEntry(offset + 2, length)) return (RejectionCodes.INBOUND_QUEUE_ORDER, 0);
                weight += 2 + length + Weights.inboundEntry(read8(offset + 2), length);
                offset += 2 + length;
            }
            if (offset != end) code = RejectionCodes.MALFORMED;
        }
    }

    function _isEntry(uint256 offset, uint256 length) private pure returns (bool) {
        unchecked {
            if (length < 4) return false;
            uint256 entryType = read8(offset);
            if (entryType == 9) return _isSeries(offset, length);
            if (entryType == 1) return length == 24;
            if (entryType == 2 || entryType == 6) return length == 32 && readBig(offset + 4, 8) < SAFE_LIMIT;
            if (entryType == 3) return length == 33 && readBig(offset + 25, 8) < SAFE_LIMIT;
            if (entryType == 4) return length == 30;
            if (entryType == 5) return length == 10;
            if (entryType == 7) return length == 21;
            if (entryType == 10) {
                uint256 change = readBig(offset + 1, 2);
                return length == 3 + change && change <= Limits.ADMIN_CHANGE_BYTES_MAX;
            }
            return entryType == 8 && length == 4;
        }
    }

    function _isSeries(uint256 offset, uint256 length) private pure returns (bool) {
        unchecked {
            if (length < 13 || readBig(offset + 3, 8) >= SAFE_LIMIT) return false;
            uint256 count = readBig(offset + 11, 2);
            if (count > Limits.SERIES_STRIKES_MAX || length != 13 + 8 * count) return false;
            for (uint256 strike = offset + 13; strike < offset + length; strike += 8) {
                if (readBig(strike, 8) >= SAFE_LIMIT) return false;
            }
            return true;
        }
    }
}
