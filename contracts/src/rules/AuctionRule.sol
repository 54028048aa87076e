// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccountList} from "../lib/AccountList.sol";
import {Cells} from "../lib/Cells.sol";
import {Limits} from "../lib/Limits.sol";
import {Margin, MarginFigures} from "../lib/Margin.sol";
import {ParameterReader} from "../lib/ParameterStore.sol";
import {PayloadReader} from "../lib/PayloadReader.sol";
import {RejectionCodes} from "../lib/RejectionCodes.sol";
import {Signatures} from "../lib/Signatures.sol";
import {Cell, StateWitness} from "../lib/StateWitness.sol";
import {WaterfallPayloads} from "../lib/WaterfallPayloads.sol";
import {Weights} from "../lib/Weights.sol";
import {AuctionSlices} from "./AuctionSlices.sol";
import {CycleRule, Run} from "./CycleRule.sol";
import {RingSlots} from "./RingSlots.sol";
import {TradeAccounts} from "./TradeAccounts.sol";
import {TradeChecks} from "./TradeChecks.sol";
import {Traders} from "./Traders.sol";

/// @title auction: a signed bid takes a slice of an account below maintenance at the curve's price
/// @notice packages/ledger/src/kinds/auction.ts. What needs the account's marks and margin (1305 … 1307, 1319 … 1321) is shown
/// at the account, exposure, marks and margin of the bidder (1318, 1323, 1324) at the bidder, everything else by execution.
contract AuctionRule is CycleRule {
    using StateWitness for *;

    function kind() public pure override returns (uint256) {
        return 5;
    }

    function _decode(Run memory run) internal pure override returns (uint256 code, uint256 weight) {
        uint256 body = run.body;
        if (!WaterfallPayloads.auction(body, run.end)) return (RejectionCodes.MALFORMED, 0);
        uint256 positionCount = PayloadReader.read8(body + WaterfallPayloads.AUCTION_POSITION_COUNT);
        if (!_isTake(run)) return (0, Weights.auction(run.length, positionCount));
        weight = Weights.auctionTake(
            run.length,
            positionCount,
            PayloadReader.read8(body + WaterfallPayloads.BID_POSITION_COUNT),
            PayloadReader.read8(body + WaterfallPayloads.BID_NEW_COUNT),
            PayloadReader.read8(body + WaterfallPayloads.BID_LEG_COUNT)
        );
    }

    function _isTake(Run memory run) private pure returns (bool) {
        return PayloadReader.read8(run.body) == WaterfallPayloads.AUCTION_TAKE;
    }

    function _number(Run memory run) private pure returns (uint256) {
        return PayloadReader.read(run.body + WaterfallPayloads.AUCTION_ACCOUNT, 3);
    }

    function _bidder(Run memory run) private pure returns (uint256) {
        return PayloadReader.read(run.body + WaterfallPayloads.BID_BIDDER, 3);
    }

    function _accounts(Run memory run) internal pure override returns (uint256[] memory accounts) {
        accounts = AccountList.empty(2);
        AccountList.add(accounts, _number(run));
        if (_isTake(run)) AccountList.add(accounts, _bidder(run));
    }

    function _execute(Run memory run) internal view override returns (uint256 code) {
        Cell memory account = run.state.accounts.find(_number(run));
        code = _accountCode(run, account);
        if (code != 0) return code;
        if (_isTake(run)) return _take(run, account);
        bool isStart = PayloadReader.read8(run.body) == WaterfallPayloads.AUCTION_START;
        uint256 auctionMs = Cells.tail(account.data) + Cells.TAIL_AUCTION_MS;
        Cells.write(auctionMs, 8, isStart ? run.timeMs : 0);
    }

    function _check(Run memory run, uint256 number) internal view override returns (uint256 code) {
        if (number != _number(run)) return _isTake(run) && number == _bidder(run) ? _bidderCheck(run) : 0;
        Cell memory account = run.state.accounts.find(number);
        code = _accountCode(run, account);
        if (code != 0) return code;
        MarginFigures memory start = Margin.figuresOf(run.state, account.data, run.parameters, run.timeMs);
        if (!start.marksUsable) return RejectionCodes.AUCTION_MARKS_UNUSABLE;
        bool isHealthy = start.equity + start.credit >= start.maintenance;
        bool isEnd = PayloadReader.read8(run.body) == WaterfallPayloads.AUCTION_END;
        if (isEnd) return isHealthy ? 0 : RejectionCodes.AUCTION_NOT_HEALTHY;
        if (isHealthy) return RejectionCodes.AUCTION_HEALTHY;
        return _isTake(run) ? _sliceCheck(run, account, start) : 0;
    }

    // ── account ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @dev 1300 … 1304: what the account's cell says.
    function _accountCode(Run memory run, Cell memory account) private pure returns (uint256) {
        if (account.length == 0 || account.index <= Limits.INSURANCE_ACCOUNT) {
            return RejectionCodes.AUCTION_UNKNOWN_ACCOUNT;
        }
        uint256 count = Cells.positionCount(account.data);
        if (count != PayloadReader.read8(run.body + WaterfallPayloads.AUCTION_POSITION_COUNT)) {
            return RejectionCodes.AUCTION_POSITION_COUNT;
        }
        uint256 op = PayloadReader.read8(run.body);
        uint256 auctionMs = Cells.read(Cells.tail(account.data) + Cells.TAIL_AUCTION_MS, 8);
        if (op == WaterfallPayloads.AUCTION_END) return auctionMs == 0 ? RejectionCodes.AUCTION_NOT_RUNNING : 0;
        if (count == 0) return RejectionCodes.AUCTION_NO_POSITIONS;
        bool isOpen = auctionMs != 0 && run.timeMs < auctionMs + 2 * AuctionSlices.durationMs(run);
        if (op == WaterfallPayloads.AUCTION_START) return isOpen ? RejectionCodes.AUCTION_RUNNING : 0;
        return isOpen && run.timeMs >= auctionMs ? 0 : RejectionCodes.AUCTION_NOT_RUNNING;
    }

    /// @dev 1319 … 1321, after what the account's own cell shows. Margins at mark: the slice leaves at its mark, so equity falls by
    /// the account's share of the discount alone.
    function _sliceCheck(Run memory run, Cell memory account, MarginFigures memory start)
        private
        pure
        returns (uint256 code)
    {
        code = AuctionSlices.legsCode(run, account);
        if (code != 0) return code;
        int256 change = AuctionSlices.legsValue(run) - int256(_fromAccount(run));
        if (!Cells.isSafe(AuctionSlices.payment(run)) || !AuctionSlices.isCashSafe(run, account, change)) {
            return RejectionCodes.AUCTION_BOUNDS;
        }
        uint256 parts = PayloadReader.read(run.body + WaterfallPayloads.BID_PARTS, 2);
        MarginFigures memory rest = AuctionSlices.figuresWithout(run, account, parts);
        if (parts < Limits.AUCTION_PARTS && rest.maintenance >= start.maintenance) {
            return RejectionCodes.AUCTION_NOT_REDUCING;
        }
        uint256 elapsedMs = AuctionSlices.elapsedMs(run, account);
        (int256 discount, int256 fromAccount) = AuctionSlices.discount(run, start, rest.maintenance, elapsedMs);
        bool isDeclared =
            uint256(discount) == AuctionSlices.declaredDiscount(run) && uint256(fromAccount) == _fromAccount(run);
        if (!isDeclared) return RejectionCodes.AUCTION_DISCOUNT;
        if (parts == 1) return 0;
        rest = AuctionSlices.figuresWithout(run, account, parts - 1);
        (, fromAccount) = AuctionSlices.discount(run, start, rest.maintenance, elapsedMs);
        bool isReached = start.equity - fromAccount + start.credit >= rest.initial;
        return isReached ? RejectionCodes.AUCTION_BEYOND_TARGET : 0;
    }

    function _fromAccount(Run memory run) private pure returns (uint256) {
        return PayloadReader.read(run.body + WaterfallPayloads.BID_FROM_ACCOUNT, 8);
    }

    // ── take ───────────────────────────────────────────────────────────────────────────────────────────────────────

    function _take(Run memory run, Cell memory account) private view returns (uint256 code) {
        code = AuctionSlices.legsCode(run, account);
        if (code != 0) return code;
        Cell memory bidder = run.state.accounts.find(_bidder(run));
        bytes32 digest;
        (code, digest) = _bidCode(run, bidder);
        if (code != 0) return code;
        int256 payment = AuctionSlices.payment(run);
        int256 paymentMax = PayloadReader.readSigned64(run.body + WaterfallPayloads.BID_PAYMENT_MAX);
        if (payment > paymentMax) return RejectionCodes.AUCTION_PAYMENT;
        uint256 fromInsurance = AuctionSlices.declaredDiscount(run) - _fromAccount(run);
        if (!_payFromInsurance(run, int256(fromInsurance))) return RejectionCodes.AUCTION_INSURANCE;
        if (!Cells.isSafe(payment)) return RejectionCodes.AUCTION_BOUNDS;
        int256 change = AuctionSlices.legsValue(run) - int256(_fromAccount(run));
        if (!_move(run, account, -1, change, false)) return RejectionCodes.AUCTION_BOUNDS;
        uint256 fields = Cells.tail(account.data);
        if (Cells.read8(fields + Cells.TAIL_POSITION_COUNT) == 0) Cells.write(fields + Cells.TAIL_AUCTION_MS, 8, 0);
        if (!_move(run, bidder, 1, -payment, false)) return RejectionCodes.AUCTION_BOUNDS;
        if (Cells.positionCount(bidder.data) > Limits.POSITIONS_MAX) return RejectionCodes.AUCTION_POSITIONS_FULL;
        uint256 nonce = PayloadReader.read(run.body + WaterfallPayloads.BID_NONCE, 6);
        RingSlots.write(run, bidder.ring.find(nonce % Limits.RING_SLOTS), nonce, digest, 1, -payment);
    }

    function _payFromInsurance(Run memory run, int256 amount) private pure returns (bool) {
        Cell memory insurance = run.state.accounts.find(Limits.INSURANCE_ACCOUNT);
        // The insurance exists in every valid state.
        if (insurance.length == 0) revert StateWitness.CellMissing(Limits.INSURANCE_ACCOUNT);
        if (amount == 0) return true;
        return amount <= Cells.cash(insurance.data) && Cells.addCash(insurance.data, -amount);
    }

    /// @dev 1310 … 1315.
    function _bidCode(Run memory run, Cell memory bidder) private view returns (uint256 code, bytes32 digest) {
        uint256 body = run.body;
        if (bidder.length == 0 || bidder.index <= Limits.INSURANCE_ACCOUNT || bidder.index == _number(run)) {
            return (RejectionCodes.AUCTION_BIDDER_INVALID, 0);
        }
        bool areDeclared = Cells.positionCount(bidder.data)
                == PayloadReader.read8(body + WaterfallPayloads.BID_POSITION_COUNT)
            && AuctionSlices.newCount(run, bidder) == PayloadReader.read8(body + WaterfallPayloads.BID_NEW_COUNT);
        if (!areDeclared) return (RejectionCodes.AUCTION_BIDDER_COUNTS, 0);
        uint256 expiryMs = PayloadReader.read(body + WaterfallPayloads.BID_EXPIRY_MS, 6);
        if (run.timeMs >= expiryMs) return (RejectionCodes.AUCTION_BID_EXPIRED, 0);
        uint256 nonce = PayloadReader.read(body + WaterfallPayloads.BID_NONCE, 6);
        if (nonce < Cells.read(Cells.tail(bidder.data) + Cells.TAIL_MIN_NONCE, 6)) {
            return (RejectionCodes.AUCTION_BELOW_MIN_NONCE, 0);
        }
        if (RingSlots.isTaken(run, bidder.ring.find(nonce % Limits.RING_SLOTS), nonce)) {
            return (RejectionCodes.AUCTION_RING_SLOT, 0);
        }
        digest = _digest(run);
        bool isSigned = Traders.hasSigned(bidder, digest, body + WaterfallPayloads.BID_SIGNATURE, expiryMs);
        if (!isSigned) code = RejectionCodes.AUCTION_NOT_AUTHORISED;
    }

    function _digest(Run memory run) private pure returns (bytes32) {
        uint256 body = run.body;
        bytes32 structHash = keccak256(
            abi.encode(
                Signatures.BID_TYPE_HASH,
                run.parameters.domain,
                _bidder(run),
                _number(run),
                PayloadReader.read(body + WaterfallPayloads.BID_PARTS, 2),
                PayloadReader.readSigned64(body + WaterfallPayloads.BID_PAYMENT_MAX),
                AuctionSlices.boundLegs(run),
                PayloadReader.read(body + WaterfallPayloads.BID_NONCE, 6),
                PayloadReader.read(body + WaterfallPayloads.BID_EXPIRY_MS, 6)
            )
        );
        return Signatures.digest(run.parameters.separator, structHash);
    }

    /// @dev The legs' lots times `sign` and their funding, then cash. `isAlone`: clearing accounts are left. False where a bound
    /// would be left. Positions beyond the limit fit their byte: declared counts that are right keep within the weight.
    function _move(Run memory run, Cell memory account, int256 sign, int256 change, bool isAlone)
        private
        pure
        returns (bool isWithin)
    {
        account.grow(Cells.POSITION_BYTES * PayloadReader.read8(run.body + WaterfallPayloads.BID_LEG_COUNT));
        for (
            uint256 leg = run.body + WaterfallPayloads.BID_LEGS; leg < run.end; leg += WaterfallPayloads.BID_LEG_BYTES) {
            Cell memory instrument = run.state.instruments.find(PayloadReader.read(leg, 3));
            instrument.lots = sign * PayloadReader.readSigned32(leg + WaterfallPayloads.BID_LEG_LOTS);
            int256 funding;
            (isWithin, funding) = TradeAccounts.settlePosition(account, instrument, isAlone);
            if (!isWithin) return false;
            change += funding;
        }
        return Cells.addCash(account.data, change);
    }

    // ── bidder ─────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @dev The bidder's side alone, with legs and discount as declared: that they are right is shown by execution and at the
    /// account.
    function _bidderCheck(Run memory run) private view returns (uint256 code) {
        if (!AuctionSlices.areTradable(run)) return RejectionCodes.AUCTION_NOT_TRADABLE;
        Cell memory bidder = run.state.accounts.find(_bidder(run));
        (code,) = _bidCode(run, bidder);
        if (code != 0) return code;
        // Moving the lots moves the cell to new memory first: `start` keeps the bytes of the start.
        uint256 start = bidder.data;
        int256 payment = AuctionSlices.payment(run);
        bool isWithin = Cells.isSafe(payment) && _move(run, bidder, 1, -payment, true);
        if (!isWithin || TradeChecks.isExposureBroken(run, start, bidder.data)) return RejectionCodes.AUCTION_BOUNDS;
        if (Cells.positionCount(bidder.data) > Limits.POSITIONS_MAX) return RejectionCodes.AUCTION_POSITIONS_FULL;
        MarginFigures memory before = Margin.figuresOf(run.state, start, run.parameters, run.timeMs);
        MarginFigures memory afterwards = Margin.figuresOf(run.state, bidder.data, run.parameters, run.timeMs);
        if (!before.marksUsable || !afterwards.marksUsable) return RejectionCodes.AUCTION_BIDDER_MARKS_UNUSABLE;
        return Margin.ruleHolds(before, afterwards) ? 0 : RejectionCodes.AUCTION_BIDDER_MARGIN;
    }
}
