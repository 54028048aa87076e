// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Limits} from "./Limits.sol";

/// @title Cells of the ledger's state as bytes in memory
/// @notice Offsets are those of docs/spec/ledger.md (Cells); integers are little-endian. A cell is worked on where it lies:
/// nothing is decoded into structs, so what is not changed costs nothing and is hashed as it came.
/// @dev Warning: nothing here checks bounds. StateWitness admits only cells of a possible length, and every address that
/// is passed in lies within such a cell. Writes keep the bytes around them.
library Cells {
    uint256 internal constant ACCOUNT_FIXED_BYTES = 104;
    uint256 internal constant ACCOUNT_OWNER = 4;
    uint256 internal constant ACCOUNT_DELEGATE_COUNT = 24;
    uint256 internal constant ACCOUNT_DELEGATES = 25;
    uint256 internal constant DELEGATE_BYTES = 29;
    uint256 internal constant DELEGATE_SCOPES = 20;
    uint256 internal constant DELEGATE_EXPIRY_MS = 21;
    /// @dev From the end of the delegates.
    uint256 internal constant TAIL_CASH = 0;
    uint256 internal constant TAIL_CREDIT = 8;
    uint256 internal constant TAIL_MIN_NONCE = 16;
    uint256 internal constant TAIL_LIQUIDATION_MS = 22;
    uint256 internal constant TAIL_AUCTION_MS = 30;
    uint256 internal constant TAIL_CREDIT_INDEX = 38;
    uint256 internal constant TAIL_RING_ROOT = 46;
    uint256 internal constant TAIL_POSITION_COUNT = 78;
    uint256 internal constant TAIL_POSITIONS = 79;
    uint256 internal constant POSITION_BYTES = 15;
    uint256 internal constant POSITION_SIZE = 3;
    uint256 internal constant POSITION_FUNDING_INDEX = 7;

    uint256 internal constant RING_BYTES = 58;
    uint256 internal constant RING_ORDER_HASH = 6;
    uint256 internal constant RING_FILLED_LOTS = 38;
    uint256 internal constant RING_FILLED_CASH = 42;
    uint256 internal constant RING_RECEIPT_DEADLINE_MS = 50;

    uint256 internal constant INSTRUMENT_BYTES = 308;
    uint256 internal constant INSTRUMENT_UNDERLYING = 1;
    uint256 internal constant INSTRUMENT_STATUS = 3;
    uint256 internal constant INSTRUMENT_EXPIRY_MS = 4;
    uint256 internal constant INSTRUMENT_STRIKE = 12;
    uint256 internal constant INSTRUMENT_LOT_NANO_COIN = 20;
    uint256 internal constant INSTRUMENT_TICK_MICRO_USD = 28;
    uint256 internal constant INSTRUMENT_TICK_VALUE = 36;
    uint256 internal constant INSTRUMENT_FUNDING_INDEX = 40;
    uint256 internal constant INSTRUMENT_SETTLEMENT_PER_LOT = 48;
    uint256 internal constant INSTRUMENT_CLEARING_POSITION = 56;
    uint256 internal constant INSTRUMENT_CLEARING_CASH = 64;
    uint256 internal constant INSTRUMENT_ROW_EPOCH = 72;
    uint256 internal constant INSTRUMENT_ROW_TIME_MS = 80;
    uint256 internal constant INSTRUMENT_ROW = 88;
    uint256 internal constant ROW_VALUE_BYTES = 5;
    uint256 internal constant INSTRUMENT_SHORT_ADD_ON = 288;
    uint256 internal constant INSTRUMENT_LONG_ADD_ON = 293;
    uint256 internal constant INSTRUMENT_CONCENTRATION_ADD_ON = 298;
    uint256 internal constant INSTRUMENT_FEE_PER_LOT = 303;

    uint256 internal constant KIND_PERPETUAL = 1;
    uint256 internal constant KIND_FUTURE = 2;
    uint256 internal constant KIND_CALL = 3;
    uint256 internal constant KIND_PUT = 4;
    uint256 internal constant STATUS_LISTED = 1;
    uint256 internal constant STATUS_SETTLED = 2;

    uint256 internal constant UNDERLYING_FIXED_BYTES = 46;
    uint256 internal constant UNDERLYING_EPOCH_OPEN = 8;
    uint256 internal constant UNDERLYING_REPORT_MS = 9;
    uint256 internal constant UNDERLYING_INDEX = 17;
    uint256 internal constant UNDERLYING_INDEX_AVERAGE = 25;
    uint256 internal constant UNDERLYING_PREMIUM_EMA = 33;
    uint256 internal constant UNDERLYING_HAS_PERPETUAL = 41;
    uint256 internal constant UNDERLYING_PERPETUAL = 42;
    uint256 internal constant UNDERLYING_SURFACE_COUNT = 45;
    uint256 internal constant UNDERLYING_SURFACES = 46;
    uint256 internal constant SURFACE_BYTES = 64;

    uint256 internal constant OUTBOX_BYTES = 41;

    uint256 internal constant GLOBALS_BYTES = 182;
    uint256 internal constant GLOBALS_TIME_MS = 7;
    uint256 internal constant GLOBALS_INBOUND_CURSOR = 15;
    uint256 internal constant GLOBALS_INBOUND_HASH = 23;
    uint256 internal constant GLOBALS_OUTBOX_COUNT = 55;
    uint256 internal constant GLOBALS_INSTRUMENT_COUNT = 59;
    uint256 internal constant GLOBALS_INBOUND_TOTAL = 62;
    uint256 internal constant GLOBALS_OUTBOX_TOTAL = 70;
    uint256 internal constant GLOBALS_CASH_TOTAL = 78;
    uint256 internal constant GLOBALS_CLEARING_TOTAL = 86;
    uint256 internal constant GLOBALS_BAD_DEBT = 94;
    uint256 internal constant GLOBALS_PARAMETERS_HASH = 102;
    uint256 internal constant GLOBALS_CREDIT_TOTAL = 134;
    uint256 internal constant GLOBALS_ADMIN_HASH = 142;
    uint256 internal constant GLOBALS_ADMIN_MS = 174;

    /// @dev Largest integer that the ledger stores: |x| < 2^53.
    int256 internal constant SAFE_MAX = 2 ** 53 - 1;
    int256 internal constant INT32_MAX = 2 ** 31 - 1;

    // ── integers ───────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Reverses the eight low bytes; the others must be zero.
    function reverse64(uint256 value) internal pure returns (uint256 reversed) {
        assembly ("memory-safe") {
            value := or(shr(8, and(value, 0xFF00FF00FF00FF00)), shl(8, and(value, 0x00FF00FF00FF00FF)))
            value := or(shr(16, and(value, 0xFFFF0000FFFF0000)), shl(16, and(value, 0x0000FFFF0000FFFF)))
            reversed := or(shr(32, value), shl(32, and(value, 0xFFFFFFFF)))
        }
    }

    /// @notice The unsigned integer of `size` bytes (1 to 8) at `offset`.
    function read(uint256 offset, uint256 size) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := shr(192, mload(offset))
        }
        value = reverse64(value);
        assembly ("memory-safe") {
            value := and(value, sub(shl(shl(3, size), 1), 1))
        }
    }

    function read8(uint256 offset) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := byte(0, mload(offset))
        }
    }

    /// @notice The two's complement integer of eight bytes at `offset`.
    function readSigned64(uint256 offset) internal pure returns (int256 value) {
        assembly ("memory-safe") {
            value := shr(192, mload(offset))
        }
        value = int256(reverse64(uint256(value)));
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

    /// @notice Writes the low `size` bytes (1 to 8) of `value`.
    function write(uint256 offset, uint256 size, uint256 value) internal pure {
        value = reverse64(value & type(uint64).max);
        assembly ("memory-safe") {
            let shift := sub(256, shl(3, size))
            let mask := shl(shift, sub(shl(shl(3, size), 1), 1))
            mstore(offset, or(and(mload(offset), not(mask)), and(shl(192, value), mask)))
        }
    }

    function write8(uint256 offset, uint256 value) internal pure {
        assembly ("memory-safe") {
            mstore8(offset, value)
        }
    }

    function writeSigned64(uint256 offset, int256 value) internal pure {
        write(offset, 8, uint256(value));
    }

    function readWord(uint256 offset) internal pure returns (bytes32 value) {
        assembly ("memory-safe") {
            value := mload(offset)
        }
    }

    function writeWord(uint256 offset, bytes32 value) internal pure {
        assembly ("memory-safe") {
            mstore(offset, value)
        }
    }

    function readAddress(uint256 offset) internal pure returns (address value) {
        assembly ("memory-safe") {
            value := shr(96, mload(offset))
        }
    }

    function writeAddress(uint256 offset, address value) internal pure {
        assembly ("memory-safe") {
            mstore(offset, or(shl(96, value), shr(160, shl(160, mload(offset)))))
        }
    }

    function isSafe(int256 value) internal pure returns (bool) {
        return value <= SAFE_MAX && value >= -SAFE_MAX;
    }

    function absolute(int256 value) internal pure returns (uint256) {
        unchecked {
            return uint256(value < 0 ? -value : value);
        }
    }

    // ── accounts ───────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Where the fields after the delegates begin.
    function tail(uint256 account) internal pure returns (uint256) {
        unchecked {
            return account + ACCOUNT_DELEGATES + DELEGATE_BYTES * read8(account + ACCOUNT_DELEGATE_COUNT);
        }
    }

    function cash(uint256 account) internal pure returns (int256) {
        return readSigned64(tail(account) + TAIL_CASH);
    }

    function credit(uint256 account) internal pure returns (int256) {
        return readSigned64(tail(account) + TAIL_CREDIT);
    }

    function positionCount(uint256 account) internal pure returns (uint256) {
        return read8(tail(account) + TAIL_POSITION_COUNT);
    }

    /// @notice Adds to the account's cash; false and unchanged when it would leave the bound.
    function addCash(uint256 account, int256 change) internal pure returns (bool) {
        uint256 offset = tail(account) + TAIL_CASH;
        int256 value = readSigned64(offset) + change;
        if (!isSafe(value)) return false;
        writeSigned64(offset, value);
        return true;
    }

    /// @notice What the account owes and can no longer earn: −cash where there are no positions and cash is negative.
    function badDebt(uint256 account) internal pure returns (int256) {
        uint256 offset = tail(account);
        if (read8(offset + TAIL_POSITION_COUNT) != 0) return 0;
        int256 value = readSigned64(offset + TAIL_CASH);
        return value < 0 ? -value : int256(0);
    }

    /// @notice Address of the account's first position whose instrument is not below `instrument` (the end when all are),
    /// and whether it is of `instrument`.
    function findPosition(uint256 account, uint256 instrument) internal pure returns (uint256 offset, bool isHeld) {
        unchecked {
            uint256 first = tail(account) + TAIL_POSITIONS;
            uint256 low = 0;
            uint256 high = read8(first - 1);
            while (low < high) {
                uint256 middle = (low + high) / 2;
                uint256 found = read(first + middle * POSITION_BYTES, 3);
                if (found == instrument) return (first + middle * POSITION_BYTES, true);
                if (found < instrument) low = middle + 1;
                else high = middle;
            }
            return (first + low * POSITION_BYTES, false);
        }
    }

    /// @notice Funding that the position at `position` would receive now, rounded down.
    /// @dev |size| < 2^31 and |Δindex| < 2^54.
    function pendingFundingFloor(uint256 instrument, uint256 position) internal pure returns (int256) {
        if (read8(instrument) != KIND_PERPETUAL) return 0;
        unchecked {
            int256 change =
                readSigned64(instrument + INSTRUMENT_FUNDING_INDEX) - readSigned64(position + POSITION_FUNDING_INDEX);
            return (-readSigned32(position + POSITION_SIZE) * change) >> Limits.FUNDING_SHIFT;
        }
    }

    // ── instruments ────────────────────────────────────────────────────────────────────────────────────────────────

    function isOption(uint256 instrument) internal pure returns (bool) {
        uint256 kind = read8(instrument);
        return kind == KIND_CALL || kind == KIND_PUT;
    }

    /// @notice Listed and, if dated, before its expiry.
    function isTradable(uint256 instrument, uint256 timeMs) internal pure returns (bool) {
        if (read8(instrument + INSTRUMENT_STATUS) != STATUS_LISTED) return false;
        uint256 expiryMs = read(instrument + INSTRUMENT_EXPIRY_MS, 8);
        return expiryMs == 0 || timeMs < expiryMs;
    }

    /// @notice Takes `amount` from the instrument's clearing account; false and unchanged when it would leave the bound.
    function takeFromClearing(uint256 instrument, int256 amount) internal pure returns (bool) {
        uint256 offset = instrument + INSTRUMENT_CLEARING_CASH;
        int256 value = readSigned64(offset) - amount;
        if (!isSafe(value)) return false;
        writeSigned64(offset, value);
        return true;
    }

    function rowValue(uint256 instrument, uint256 scenario) internal pure returns (uint256) {
        return read(instrument + INSTRUMENT_ROW + ROW_VALUE_BYTES * scenario, ROW_VALUE_BYTES);
    }
}
