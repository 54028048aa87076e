// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Limits} from "./Limits.sol";
import {PayloadReader} from "./PayloadReader.sol";

/// @title Bodies of the kinds that deal with accounts below maintenance: auction, bankruptcy, adl
/// @notice As PayloadReader: the canonical decoder as a check, total for any bytes; offsets are from the body's first byte.
library WaterfallPayloads {
    uint256 internal constant AUCTION_START = 0;
    uint256 internal constant AUCTION_TAKE = 1;
    uint256 internal constant AUCTION_END = 2;
    uint256 internal constant AUCTION_ACCOUNT = 1;
    uint256 internal constant AUCTION_POSITION_COUNT = 4;
    /// @dev All of a start or an end.
    uint256 internal constant AUCTION_HEAD_BYTES = 5;
    uint256 internal constant BID_BIDDER = 5;
    uint256 internal constant BID_POSITION_COUNT = 8;
    uint256 internal constant BID_NEW_COUNT = 9;
    uint256 internal constant BID_PARTS = 10;
    uint256 internal constant BID_PAYMENT_MAX = 12;
    uint256 internal constant BID_NONCE = 20;
    uint256 internal constant BID_EXPIRY_MS = 26;
    uint256 internal constant BID_BINDS_LEGS = 32;
    uint256 internal constant BID_SIGNATURE = 33;
    uint256 internal constant BID_DISCOUNT = 97;
    uint256 internal constant BID_FROM_ACCOUNT = 105;
    uint256 internal constant BID_LEG_COUNT = 113;
    uint256 internal constant BID_LEGS = 114;
    uint256 internal constant BID_LEG_BYTES = 7;
    uint256 internal constant BID_LEG_LOTS = 3;

    uint256 internal constant ADL_POSITION_COUNT = 3;
    uint256 internal constant ADL_INSTRUMENT = 4;
    uint256 internal constant ADL_HAIRCUT = 7;
    uint256 internal constant ADL_COUNT = 12;
    uint256 internal constant ADL_ITEMS = 13;
    uint256 internal constant ADL_ITEM_BYTES = 20;
    uint256 internal constant ADL_ITEM_POSITION_COUNT = 3;
    uint256 internal constant ADL_ITEM_EQUITY = 4;
    uint256 internal constant ADL_ITEM_MAINTENANCE = 12;

    /// @notice op u8; start and end: account u24, positionCount u8; take: these, the bid, discount, fromAccount, legs.
    function auction(uint256 offset, uint256 end) internal pure returns (bool) {
        unchecked {
            if (offset + AUCTION_HEAD_BYTES > end) return false;
            uint256 op = PayloadReader.read8(offset);
            if (PayloadReader.read8(offset + AUCTION_POSITION_COUNT) > Limits.POSITIONS_MAX) return false;
            if (op == AUCTION_TAKE) return _take(offset, end);
            return (op == AUCTION_START || op == AUCTION_END) && offset + AUCTION_HEAD_BYTES == end;
        }
    }

    function _take(uint256 offset, uint256 end) private pure returns (bool) {
        unchecked {
            if (offset + BID_LEGS > end) return false;
            uint256 parts = PayloadReader.read(offset + BID_PARTS, 2);
            if (parts == 0 || parts > Limits.AUCTION_PARTS) return false;
            if (PayloadReader.read8(offset + BID_POSITION_COUNT) > Limits.POSITIONS_MAX) return false;
            if (PayloadReader.read8(offset + BID_NEW_COUNT) > Limits.POSITIONS_MAX) return false;
            if (PayloadReader.read8(offset + BID_BINDS_LEGS) > 1) return false;
            if (!PayloadReader.isSafeSigned(offset + BID_PAYMENT_MAX)) return false;
            if (!PayloadReader.isSafeUnsigned(offset + BID_DISCOUNT)) return false;
            uint256 discount = PayloadReader.read(offset + BID_DISCOUNT, 8);
            if (PayloadReader.read(offset + BID_FROM_ACCOUNT, 8) > discount) return false;
            uint256 count = PayloadReader.read8(offset + BID_LEG_COUNT);
            if (count == 0 || count > Limits.POSITIONS_MAX) return false;
            return offset + BID_LEGS + BID_LEG_BYTES * count == end && _areLegs(offset + BID_LEGS, end);
        }
    }

    /// @dev Strictly increasing by instrument; lots neither 0 nor −2^31.
    function _areLegs(uint256 leg, uint256 end) private pure returns (bool) {
        unchecked {
            uint256 floor = 0;
            for (; leg < end; leg += BID_LEG_BYTES) {
                uint256 instrument = PayloadReader.read(leg, 3);
                uint256 lots = PayloadReader.read(leg + BID_LEG_LOTS, 4);
                if (instrument < floor || lots == 0 || lots == 0x80000000) return false;
                floor = instrument + 1;
            }
            return true;
        }
    }

    /// @notice count u8, account u24…, strictly increasing.
    function bankruptcy(uint256 offset, uint256 end) internal pure returns (bool) {
        unchecked {
            if (offset + 1 > end) return false;
            uint256 count = PayloadReader.read8(offset);
            if (count == 0 || count > Limits.BANKRUPTCIES_PER_CYCLE_MAX || offset + 1 + 3 * count != end) return false;
            uint256 floor = 0;
            for (offset += 1; offset < end; offset += 3) {
                uint256 account = PayloadReader.read(offset, 3);
                if (account < floor) return false;
                floor = account + 1;
            }
            return true;
        }
    }

    /// @notice account u24, positionCount u8, instrument u24, haircut u40, count u8, (account u24, positionCount u8, equity u64,
    /// maintenance u64)…
    function adl(uint256 offset, uint256 end) internal pure returns (bool) {
        unchecked {
            if (offset + ADL_ITEMS > end) return false;
            if (PayloadReader.read8(offset + ADL_POSITION_COUNT) > Limits.POSITIONS_MAX) return false;
            uint256 count = PayloadReader.read8(offset + ADL_COUNT);
            if (count == 0 || count > Limits.ADL_COUNTERPARTIES_MAX) return false;
            if (offset + ADL_ITEMS + ADL_ITEM_BYTES * count != end) return false;
            for (uint256 item = offset + ADL_ITEMS; item < end; item += ADL_ITEM_BYTES) {
                if (PayloadReader.read8(item + ADL_ITEM_POSITION_COUNT) > Limits.POSITIONS_MAX) return false;
                bool areSafe = PayloadReader.isSafeUnsigned(item + ADL_ITEM_EQUITY)
                    && PayloadReader.isSafeUnsigned(item + ADL_ITEM_MAINTENANCE);
                if (!areSafe) return false;
            }
            return true;
        }
    }
}
