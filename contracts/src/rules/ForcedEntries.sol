// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cells} from "../lib/Cells.sol";
import {Limits} from "../lib/Limits.sol";
import {Margin, MarginFigures} from "../lib/Margin.sol";
import {ParameterReader} from "../lib/ParameterStore.sol";
import {PayloadReader} from "../lib/PayloadReader.sol";
import {Signatures} from "../lib/Signatures.sol";
import {Cell, StateWitness} from "../lib/StateWitness.sol";
import {Run} from "./CycleRule.sol";
import {RingSlots} from "./RingSlots.sol";

/// @title Orders and auctions that L1 starts
/// @notice packages/ledger/src/kinds/inbound.ts. The account exists and is neither treasury nor insurance. What cannot be done
/// changes nothing.
library ForcedEntries {
    using StateWitness for *;

    // Of the entry: type u8, account u24, then these, big-endian.
    uint256 private constant INSTRUMENT = 4;
    uint256 private constant SIZE = 7;
    uint256 private constant LIMIT_PRICE = 11;
    uint256 private constant NONCE = 15;
    uint256 private constant REDUCE_ONLY = 1;
    uint256 private constant U48_MAX = 2 ** 48 - 1;

    /// @notice Puts the owner's reducing order into the ring: L1 has authorised it, so trades settle its fills without a signature.
    function close(Run memory run, uint256 entry, Cell memory account) internal pure {
        Cell memory instrument = run.state.instruments.find(PayloadReader.readBig(entry + INSTRUMENT, 3));
        bool isTradable = instrument.length > 0 && Cells.isTradable(instrument.data, run.timeMs);
        if (!isTradable || _signed32(entry + LIMIT_PRICE) < -Cells.INT32_MAX) return;
        int256 size = _signed32(entry + SIZE);
        (uint256 position, bool isHeld) = Cells.findPosition(account.data, instrument.index);
        if (!isHeld || size == 0) return;
        int256 held = Cells.readSigned32(position + Cells.POSITION_SIZE);
        if ((size > 0) == (held > 0) || Cells.absolute(size) > Cells.absolute(held)) return;
        uint256 nonce = PayloadReader.readBig(entry + NONCE, 6);
        if (nonce < Cells.read(Cells.tail(account.data) + Cells.TAIL_MIN_NONCE, 6)) return;
        Cell memory slot = account.ring.find(nonce % Limits.RING_SLOTS);
        if (!RingSlots.isTaken(run, slot, nonce)) {
            RingSlots.write(run, slot, nonce, _orderHash(run, entry, account.index), 0, 0);
        }
    }

    function _signed32(uint256 offset) private pure returns (int256 value) {
        value = int256(PayloadReader.readBig(offset, 4));
        assembly ("memory-safe") {
            value := signextend(3, value)
        }
    }

    function _orderHash(Run memory run, uint256 entry, uint256 account) private pure returns (bytes32) {
        bytes32 leg =
            keccak256(abi.encode(Signatures.LEG_TYPE_HASH, PayloadReader.readBig(entry + INSTRUMENT, 3), uint256(1)));
        uint256 expiryMs = run.timeMs + Limits.FORCED_CLOSE_LIFETIME_MS;
        bytes32 structHash = keccak256(
            abi.encode(
                Signatures.ORDER_TYPE_HASH,
                run.parameters.domain,
                account,
                keccak256(abi.encode(leg)),
                _signed32(entry + SIZE),
                _signed32(entry + LIMIT_PRICE),
                Limits.FORCED_CLOSE_FEE_MAX,
                PayloadReader.readBig(entry + NONCE, 6),
                run.timeMs,
                expiryMs < U48_MAX ? expiryMs : U48_MAX,
                REDUCE_ONLY
            )
        );
        return Signatures.digest(run.parameters.separator, structHash);
    }

    /// @notice Starts the auction of an account below maintenance; ends the running one of an account that is not.
    function liquidate(Run memory run, Cell memory account) internal pure {
        if (Cells.positionCount(account.data) == 0) return;
        MarginFigures memory figures = Margin.figuresOf(run.state, account.data, run.parameters, run.timeMs);
        if (!figures.marksUsable) return;
        uint256 auction = Cells.tail(account.data) + Cells.TAIL_AUCTION_MS;
        if (figures.equity + figures.credit >= figures.maintenance) {
            Cells.write(auction, 8, 0);
            return;
        }
        uint256 auctionMs = Cells.read(auction, 8);
        uint256 durationMs = uint256(ParameterReader.scalar(run.parameters, ParameterReader.AUCTION_DURATION_MS));
        if (auctionMs == 0 || run.timeMs >= auctionMs + 2 * durationMs) Cells.write(auction, 8, run.timeMs);
    }
}
