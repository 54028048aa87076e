// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cells} from "./Cells.sol";
import {Limits} from "./Limits.sol";

/// @title Weight of a cycle: bytes of the largest one-transaction witness against it
/// @notice packages/ledger/src/weight.ts, integer by integer. Computed from the payload alone.
/// @dev Sums are below 2^32: a payload is below 2^17 bytes and each of its bytes weighs less than 2^12.
library Weights {
    uint256 private constant RING_WITNESS = Cells.RING_BYTES + 32 * Limits.RING_TREE_DEPTH;
    uint256 private constant INSTRUMENT_WITNESS = Cells.INSTRUMENT_BYTES + 32 * Limits.INSTRUMENT_TREE_DEPTH;
    uint256 private constant UNDERLYING_CELL_MAX =
        Cells.UNDERLYING_FIXED_BYTES + Limits.EXPIRIES_MAX * Cells.SURFACE_BYTES;
    uint256 private constant UNDERLYING_WITNESS = UNDERLYING_CELL_MAX + 32 * Limits.UNDERLYING_TREE_DEPTH;
    uint256 private constant OUTBOX_WITNESS = 32 * Limits.OUTBOX_TREE_DEPTH;
    uint256 private constant ACCOUNT_WITNESS_FIXED =
        Cells.ACCOUNT_FIXED_BYTES + Limits.DELEGATES_MAX * Cells.DELEGATE_BYTES + 32 * Limits.ACCOUNT_TREE_DEPTH;
    /// @dev log2 of INSTRUMENTS_MAX and UNDERLYINGS_MAX.
    uint256 private constant INSTRUMENT_USED_DEPTH = 20;
    uint256 private constant UNDERLYING_USED_DEPTH = 3;
    /// @dev The set of instruments: a directory of 2^12 places of two bytes, and bitmaps of 2^12 bits behind it. A proposer chooses
    /// the numbers, so that every number costs the same (ADR 054).
    uint256 private constant SET_BITS = 12;
    uint256 private constant SET_DIRECTORY_BYTES = 2 * 2 ** SET_BITS;
    uint256 private constant SET_BITMAP_BYTES = 2 ** SET_BITS / 8;
    /// @dev One more distinct instrument than a cycle within the limit may touch.
    uint256 private constant SET_MAX = Limits.CYCLE_WEIGHT_MAX / INSTRUMENT_WITNESS + 1;

    struct Trade {
        uint256 root;
        uint256 rule;
        /// @dev Distinct instruments, counted up to SET_MAX: that many are beyond the limit by themselves.
        uint256 instruments;
        /// @dev Memory address of the set's directory. A place is the distance of its bitmap in words, or 0.
        uint256 set;
    }

    function emptyTrade() internal pure returns (Trade memory weights) {
        weights.set = _zeros(SET_DIRECTORY_BYTES);
    }

    function _zeros(uint256 size) private pure returns (uint256 start) {
        assembly ("memory-safe") {
            start := mload(0x40)
            calldatacopy(start, calldatasize(), size)
            mstore(0x40, add(start, size))
        }
    }

    /// @dev Bounds: instrument < 2^24. Places fit two bytes: nobody else allocates while a payload is decoded, and SET_MAX bitmaps
    /// behind the directory end below 2^17 bytes.
    function addInstrument(Trade memory weights, uint256 instrument) internal pure {
        unchecked {
            // Beyond the limit whatever follows.
            if (weights.instruments >= SET_MAX || weights.root > Limits.CYCLE_WEIGHT_MAX) return;
            uint256 set = weights.set;
            uint256 entry = set + 2 * (instrument >> SET_BITS);
            uint256 place;
            assembly ("memory-safe") {
                place := shr(240, mload(entry))
            }
            if (place == 0) {
                place = (_zeros(SET_BITMAP_BYTES) - set) / 32;
                assembly ("memory-safe") {
                    mstore8(entry, shr(8, place))
                    mstore8(add(entry, 1), place)
                }
            }
            uint256 word = set + 32 * (place + ((instrument >> 8) & 15));
            uint256 held = uint256(Cells.readWord(word));
            uint256 bit = 1 << (instrument & 255);
            if (held & bit != 0) return;
            Cells.writeWord(word, bytes32(held | bit));
            weights.instruments += 1;
        }
    }

    function addEntry(Trade memory weights) internal pure {
        unchecked {
            weights.root += RING_WITNESS;
        }
    }

    /// @notice An account whose `entryCount` entries were added before.
    function addAccount(Trade memory weights, uint256 positionCount, uint256 entryCount, uint256 legCount)
        internal
        pure
    {
        unchecked {
            uint256 cell = account(positionCount);
            weights.root += cell;
            uint256 rule = cell + entryCount * RING_WITNESS + margin(positionCount + legCount);
            if (rule > weights.rule) weights.rule = rule;
        }
    }

    /// @notice Weight of a trade cycle of `length` payload bytes.
    function trade(Trade memory weights, uint256 length) internal pure returns (uint256) {
        unchecked {
            uint256 root = account(0) + weights.root + weights.instruments * INSTRUMENT_WITNESS;
            return length + (root > weights.rule ? root : weights.rule);
        }
    }

    /// @notice Weight of a liquidation: `weights` holds the counterparties and the instruments of all legs.
    function liquidation(Trade memory weights, uint256 positionCount, uint256 length) internal pure returns (uint256) {
        unchecked {
            uint256 liquidated = account(positionCount);
            uint256 root = 2 * account(0) + liquidated + weights.root + weights.instruments * INSTRUMENT_WITNESS;
            // It only reduces: no instrument comes to the account's positions.
            uint256 rule = liquidated + margin(positionCount);
            if (weights.rule > rule) rule = weights.rule;
            return length + (root > rule ? root : rule);
        }
    }

    function report(uint256 length) internal pure returns (uint256) {
        return length + UNDERLYING_WITNESS + INSTRUMENT_WITNESS;
    }

    function rows(uint256 length, uint256 count) internal pure returns (uint256) {
        return length + UNDERLYING_WITNESS + count * INSTRUMENT_WITNESS;
    }

    function expiry(uint256 length, uint256 accounts, uint256 instruments) internal pure returns (uint256) {
        return length + UNDERLYING_WITNESS + accounts + instruments * INSTRUMENT_WITNESS;
    }

    /// @notice `rule`: the heaviest withdrawal by `outboundRule`; `root`: the sum of `outboundRoot`.
    function outbound(uint256 length, uint256 root, uint256 rule) internal pure returns (uint256) {
        root += OUTBOX_WITNESS;
        return length + (root > rule ? root : rule);
    }

    function outboundRoot(uint256 positionCount) internal pure returns (uint256) {
        return account(positionCount) + RING_WITNESS;
    }

    function outboundRule(uint256 positionCount) internal pure returns (uint256) {
        return account(positionCount) + RING_WITNESS + margin(positionCount) + account(0);
    }

    function auction(uint256 length, uint256 positionCount) internal pure returns (uint256) {
        return length + account(positionCount) + margin(positionCount);
    }

    /// @notice `newCount`: legs in instruments that the bidder does not hold.
    function auctionTake(
        uint256 length,
        uint256 positionCount,
        uint256 bidderPositionCount,
        uint256 newCount,
        uint256 legCount
    ) internal pure returns (uint256) {
        uint256 bidder = account(bidderPositionCount) + RING_WITNESS;
        uint256 weight = account(0) + account(positionCount) + bidder + _instruments(legCount);
        uint256 atAccount = account(positionCount) + margin(positionCount);
        uint256 atBidder = bidder + margin(bidderPositionCount + newCount);
        if (atAccount > weight) weight = atAccount;
        if (atBidder > weight) weight = atBidder;
        return length + weight;
    }

    function bankruptcy(uint256 length, uint256 count) internal pure returns (uint256) {
        return length + account(0) + count * account(Limits.POSITIONS_MAX);
    }

    /// @notice `counterparties`: the sum of their accounts.
    function adl(uint256 length, uint256 positionCount, uint256 counterparties) internal pure returns (uint256) {
        uint256 bankrupt = account(positionCount);
        uint256 weight = counterparties + INSTRUMENT_WITNESS;
        uint256 atAccount = account(0) + margin(positionCount);
        uint256 atAnother = account(Limits.POSITIONS_MAX) + margin(Limits.POSITIONS_MAX);
        if (atAccount > weight) weight = atAccount;
        if (atAnother > weight) weight = atAnother;
        return length + bankrupt + weight;
    }

    function credit(uint256 length) internal pure returns (uint256) {
        return length + account(Limits.POSITIONS_MAX) + account(0);
    }

    /// @notice What an inbound cycle weighs beside its entries.
    function inboundBase() internal pure returns (uint256) {
        return 11 + OUTBOX_WITNESS;
    }

    /// @notice What an entry of that type brings beside its payload.
    /// @dev `length` of a listing is 13 + 8 · strikes; each strike makes two cells, the future or perpetual one.
    function inboundEntry(uint256 entryType, uint256 length) internal pure returns (uint256) {
        if (entryType == 9) {
            uint256 created = (1 + (length - 13) / 4) * Cells.INSTRUMENT_BYTES;
            return UNDERLYING_WITNESS + 32 * Limits.INSTRUMENT_TREE_DEPTH + created;
        }
        if (entryType == 10) return 0;
        uint256 full = account(Limits.POSITIONS_MAX);
        if (entryType == 7) return full + RING_WITNESS + INSTRUMENT_WITNESS;
        return entryType == 6 || entryType == 8 ? full + margin(Limits.POSITIONS_MAX) : full;
    }

    function account(uint256 positionCount) internal pure returns (uint256) {
        return ACCOUNT_WITNESS_FIXED + positionCount * Cells.POSITION_BYTES;
    }

    /// @notice Rows and underlyings that the margin of an account with that many instruments needs.
    function margin(uint256 instruments) internal pure returns (uint256) {
        unchecked {
            uint256 underlyings = instruments < Limits.UNDERLYINGS_MAX ? instruments : Limits.UNDERLYINGS_MAX;
            return _instruments(instruments) + underlyings * UNDERLYING_CELL_MAX + 32
                * _siblings(underlyings, UNDERLYING_USED_DEPTH, Limits.UNDERLYING_TREE_DEPTH);
        }
    }

    /// @dev That many instruments with one multiproof.
    function _instruments(uint256 count) private pure returns (uint256) {
        unchecked {
            return
                count * Cells.INSTRUMENT_BYTES + 32
                    * _siblings(count, INSTRUMENT_USED_DEPTH, Limits.INSTRUMENT_TREE_DEPTH);
        }
    }

    /// @dev With c(j) = min(leaves, 2^j) covered nodes at level j: depth − used + Σ 2·c(j−1) − c(j).
    function _siblings(uint256 leaves, uint256 used, uint256 depth) private pure returns (uint256 siblings) {
        unchecked {
            if (leaves == 0) return 0;
            uint256 covered = 1;
            siblings = depth - used;
            for (uint256 level = 1; level <= used; ++level) {
                uint256 below = leaves < 2 ** level ? leaves : 2 ** level;
                siblings += 2 * covered - below;
                covered = below;
            }
        }
    }
}
