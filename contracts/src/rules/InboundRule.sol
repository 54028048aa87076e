// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cells} from "../lib/Cells.sol";
import {Limits} from "../lib/Limits.sol";
import {Margin, MarginFigures} from "../lib/Margin.sol";
import {ParameterReader} from "../lib/ParameterStore.sol";
import {PayloadReader} from "../lib/PayloadReader.sol";
import {RejectionCodes} from "../lib/RejectionCodes.sol";
import {Cell, StateWitness} from "../lib/StateWitness.sol";
import {Weights} from "../lib/Weights.sol";
import {Credits} from "./Credits.sol";
import {CycleRule, Run} from "./CycleRule.sol";
import {ForcedEntries} from "./ForcedEntries.sol";
import {OutboxWriter} from "./OutboxWriter.sol";

/// @title inbound: consumes the L1 queue in order
/// @notice packages/ledger/src/kinds/inbound.ts. No entry refuses the cycle for what it asks; that the entries are the queue's
/// is a matter of header and hash chain, which this rule moves.
contract InboundRule is CycleRule {
    using StateWitness for *;

    uint256 private constant OPEN_ACCOUNT = 1;
    uint256 private constant DEPOSIT = 2;
    uint256 private constant KEY_GRANT = 3;
    uint256 private constant KEY_REVOKE = 4;
    uint256 private constant CANCEL_ALL = 5;
    uint256 private constant FORCED_WITHDRAWAL = 6;
    uint256 private constant FORCED_CLOSE = 7;
    uint256 private constant FORCED_LIQUIDATION = 8;
    uint256 private constant LIST_SERIES = 9;
    uint256 private constant ADMIN_CHANGE = 10;

    uint256 private constant MICRO_USD_MAX = 2 ** 50 - 1;
    uint256 private constant NANO_PER_COIN = 1e9;
    /// @dev Bytes of one kind's contract size in the parameter set.
    uint256 private constant CONTRACT_SIZE_BYTES = 16;

    function kind() public pure override returns (uint256) {
        return 9;
    }

    function _decode(Run memory run) internal pure override returns (uint256 code, uint256 weight) {
        (code, weight) = PayloadReader.inbound(run.body, run.end);
        weight += Weights.inboundBase();
    }

    function _execute(Run memory run) internal pure override returns (uint256) {
        uint256 globals = run.state.globals;
        uint256 count = PayloadReader.read8(run.body);
        uint256 offset = run.body + 1;
        for (uint256 i = 0; i < count; ++i) {
            uint256 length = PayloadReader.read(offset, 2);
            if (!_apply(run, offset + 2, length)) return RejectionCodes.LIMIT_EXCEEDED;
            uint256 cursor = globals + Cells.GLOBALS_INBOUND_CURSOR;
            Cells.write(cursor, 8, Cells.read(cursor, 8) + 1);
            _chain(globals + Cells.GLOBALS_INBOUND_HASH, offset + 2, length);
            offset += 2 + length;
        }
        return 0;
    }

    /// @dev h' = keccak256(h ‖ keccak256(entry)).
    function _chain(uint256 hash, uint256 entry, uint256 length) private pure {
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, entry, length)
            mstore(0x20, keccak256(free, length))
            mstore(0x00, mload(hash))
            mstore(hash, keccak256(0x00, 0x40))
        }
    }

    /// @dev False where the venue cannot record the entry at all: its money would leave the totals' range.
    function _apply(Run memory run, uint256 entry, uint256 length) private pure returns (bool) {
        uint256 entryType = PayloadReader.read8(entry);
        if (entryType == LIST_SERIES) {
            _listSeries(run, entry);
            return true;
        }
        if (entryType == ADMIN_CHANGE) {
            _adminChange(run, entry + 3, length - 3);
            return true;
        }
        uint256 number = PayloadReader.readBig(entry + 1, 3);
        Cell memory account = run.state.accounts.find(number);
        if (entryType == DEPOSIT) return _deposit(run, entry, account);
        if (entryType == OPEN_ACCOUNT) {
            if (account.length == 0) _openAccount(run, entry, account);
            return true;
        }
        // An owner may change what exists and is neither treasury nor insurance.
        if (account.length == 0 || number <= Limits.INSURANCE_ACCOUNT) return true;
        if (entryType == FORCED_WITHDRAWAL) return _forcedWithdrawal(run, entry, account);
        if (entryType == FORCED_CLOSE) {
            ForcedEntries.close(run, entry, account);
        } else if (entryType == FORCED_LIQUIDATION) {
            ForcedEntries.liquidate(run, account);
        } else if (entryType == KEY_GRANT) {
            _keyGrant(entry, account);
        } else if (entryType == KEY_REVOKE) {
            _raiseMinNonce(account, PayloadReader.readBig(entry + 24, 6));
            _keyRevoke(entry, account);
        } else if (entryType == CANCEL_ALL) {
            _raiseMinNonce(account, PayloadReader.readBig(entry + 4, 6));
        }
        return true;
    }

    // ── accounts ───────────────────────────────────────────────────────────────────────────────────────────────────

    function _openAccount(Run memory run, uint256 entry, Cell memory account) private pure {
        account.data = _zeroed(Cells.ACCOUNT_FIXED_BYTES);
        account.length = Cells.ACCOUNT_FIXED_BYTES;
        Cells.write(account.data, 4, run.parameters.domain);
        Cells.writeAddress(account.data + Cells.ACCOUNT_OWNER, _address(entry + 4));
        Cells.writeWord(Cells.tail(account.data) + Cells.TAIL_RING_ROOT, _emptyRingRoot());
    }

    function _emptyRingRoot() private pure returns (bytes32 root) {
        for (uint256 height = 0; height < Limits.RING_TREE_DEPTH; ++height) {
            assembly ("memory-safe") {
                mstore(0x00, root)
                mstore(0x20, root)
                root := keccak256(0x00, 0x40)
            }
        }
    }

    /// @dev Memory that assembly allocates may have been used as scratch.
    function _zeroed(uint256 length) private pure returns (uint256 data) {
        data = StateWitness.allocate(length);
        assembly ("memory-safe") {
            calldatacopy(data, calldatasize(), length)
        }
    }

    function _address(uint256 offset) private pure returns (address) {
        return address(uint160(PayloadReader.readBig(offset, 20)));
    }

    function _deposit(Run memory run, uint256 entry, Cell memory account) private pure returns (bool) {
        uint256 amount = PayloadReader.readBig(entry + 4, 8);
        uint256 total = run.state.globals + Cells.GLOBALS_INBOUND_TOTAL;
        int256 inboundTotal = Cells.readSigned64(total) + int256(amount);
        if (!Cells.isSafe(inboundTotal)) return false;
        bool isCredited = account.length > 0 && Cells.addCash(account.data, int256(amount));
        if (!isCredited && OutboxWriter.isFull(run.state)) return false;
        Cells.writeSigned64(total, inboundTotal);
        if (account.length > 0) _clearCreditOf(run, account);
        // Parked: what cannot be credited goes back to the payer.
        if (!isCredited) {
            OutboxWriter.append(run.state, account.index, amount, run.parameters.chainId, _address(entry + 12));
        }
        return true;
    }

    /// @dev Credited or parked, the deposit that the credit was granted for is here.
    function _clearCreditOf(Run memory run, Cell memory account) private pure {
        if (Cells.credit(account.data) == 0) return;
        uint256 index = Cells.read(Cells.tail(account.data) + Cells.TAIL_CREDIT_INDEX, 8);
        if (index == Cells.read(run.state.globals + Cells.GLOBALS_INBOUND_CURSOR, 8)) {
            Credits.clear(run.state, account);
        }
    }

    /// @dev Replaces a pending change.
    function _adminChange(Run memory run, uint256 change, uint256 length) private pure {
        bytes32 hash;
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, change, length)
            hash := keccak256(free, length)
        }
        Cells.writeWord(run.state.globals + Cells.GLOBALS_ADMIN_HASH, hash);
        Cells.write(run.state.globals + Cells.GLOBALS_ADMIN_MS, 8, run.timeMs + run.parameters.adminDelayMs);
    }

    /// @dev Address of the delegate with that key, or the end of the delegates.
    function _delegate(Cell memory account, address key) private pure returns (uint256 delegate, uint256 end) {
        end = Cells.tail(account.data);
        delegate = account.data + Cells.ACCOUNT_DELEGATES;
        while (delegate < end && Cells.readAddress(delegate) != key) delegate += Cells.DELEGATE_BYTES;
    }

    function _keyGrant(uint256 entry, Cell memory account) private pure {
        account.grow(Cells.DELEGATE_BYTES);
        (uint256 delegate, uint256 end) = _delegate(account, _address(entry + 4));
        if (delegate == end) {
            uint256 count = Cells.read8(account.data + Cells.ACCOUNT_DELEGATE_COUNT);
            if (count >= Limits.DELEGATES_MAX) return;
            account.insert(delegate, Cells.DELEGATE_BYTES);
            Cells.write8(account.data + Cells.ACCOUNT_DELEGATE_COUNT, count + 1);
            Cells.writeAddress(delegate, _address(entry + 4));
        }
        Cells.write8(delegate + Cells.DELEGATE_SCOPES, PayloadReader.read8(entry + 24));
        Cells.write(delegate + Cells.DELEGATE_EXPIRY_MS, 8, PayloadReader.readBig(entry + 25, 8));
    }

    function _keyRevoke(uint256 entry, Cell memory account) private pure {
        (uint256 delegate, uint256 end) = _delegate(account, _address(entry + 4));
        if (delegate == end) return;
        account.remove(delegate, Cells.DELEGATE_BYTES);
        uint256 count = account.data + Cells.ACCOUNT_DELEGATE_COUNT;
        Cells.write8(count, Cells.read8(count) - 1);
    }

    function _raiseMinNonce(Cell memory account, uint256 minNonce) private pure {
        uint256 data = Cells.tail(account.data) + Cells.TAIL_MIN_NONCE;
        if (minNonce > Cells.read(data, 6)) Cells.write(data, 6, minNonce);
    }

    /// @dev Checks in the order of outbound; pays what is withdrawable when more is asked.
    function _forcedWithdrawal(Run memory run, uint256 entry, Cell memory account) private pure returns (bool) {
        // The venue could block it by granting some.
        Credits.clear(run.state, account);
        if (OutboxWriter.hasBadDebt(run.state)) return true;
        MarginFigures memory figures = Margin.figuresOf(run.state, account.data, run.parameters, run.timeMs);
        if (!figures.marksUsable) return true;
        uint256 amount = PayloadReader.readBig(entry + 4, 8);
        uint256 withdrawable = uint256(Margin.withdrawable(figures));
        if (withdrawable < amount) amount = withdrawable;
        if (amount == 0 || !OutboxWriter.isInVault(run.state, amount)) return true;
        if (OutboxWriter.isFull(run.state)) return false;
        Cells.addCash(account.data, -int256(amount));
        OutboxWriter.append(run.state, account.index, amount, run.parameters.chainId, _address(entry + 12));
        return true;
    }

    // ── listing ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @dev Expiry 0 lists the perpetual; else the future first, then a call and a put a strike.
    function _listSeries(Run memory run, uint256 entry) private pure {
        uint256 number = PayloadReader.readBig(entry + 1, 2);
        uint256 expiryMs = PayloadReader.readBig(entry + 3, 8);
        uint256 strikes = PayloadReader.readBig(entry + 11, 2);
        Cell memory underlying = run.state.underlyings.find(number);
        if (underlying.length == 0 || number >= run.parameters.underlyingCount) return;
        bool isPerpetual = expiryMs == 0;
        if (!isPerpetual && expiryMs <= run.timeMs) return;
        if (isPerpetual ? strikes > 0 : !_areStrikesValid(entry + 13, strikes)) return;
        if (isPerpetual && Cells.read8(underlying.data + Cells.UNDERLYING_HAS_PERPETUAL) != 0) return;
        uint256 first = Cells.read(run.state.globals + Cells.GLOBALS_INSTRUMENT_COUNT, 3);
        if (first + 1 + 2 * strikes > Limits.INSTRUMENTS_MAX) return;
        if (isPerpetual) {
            _create(run, Cells.KIND_PERPETUAL, number, 0, 0);
            Cells.write8(underlying.data + Cells.UNDERLYING_HAS_PERPETUAL, 1);
            Cells.write(underlying.data + Cells.UNDERLYING_PERPETUAL, 3, first);
            return;
        }
        _create(run, Cells.KIND_FUTURE, number, expiryMs, 0);
        for (uint256 i = 0; i < strikes; ++i) {
            uint256 strike = PayloadReader.readBig(entry + 13 + 8 * i, 8);
            _create(run, Cells.KIND_CALL, number, expiryMs, strike);
            _create(run, Cells.KIND_PUT, number, expiryMs, strike);
        }
    }

    function _areStrikesValid(uint256 offset, uint256 count) private pure returns (bool) {
        uint256 previous = 0;
        for (uint256 i = 0; i < count; ++i) {
            uint256 strike = PayloadReader.readBig(offset + 8 * i, 8);
            if (strike <= previous || strike > MICRO_USD_MAX) return false;
            previous = strike;
        }
        return true;
    }

    function _create(Run memory run, uint256 instrumentKind, uint256 underlying, uint256 expiryMs, uint256 strike)
        private
        pure
    {
        uint256 count = run.state.globals + Cells.GLOBALS_INSTRUMENT_COUNT;
        uint256 number = Cells.read(count, 3);
        Cells.write(count, 3, number + 1);
        Cell memory cell = run.state.instruments.find(number);
        // Nothing is beyond instrumentCount in a valid state.
        if (cell.length > 0) revert StateWitness.WitnessMalformed();
        uint256 data = _zeroed(Cells.INSTRUMENT_BYTES);
        cell.data = data;
        cell.length = Cells.INSTRUMENT_BYTES;
        uint256 size = ParameterReader.contractSizes(run.parameters, underlying);
        if (instrumentKind == Cells.KIND_FUTURE) size += CONTRACT_SIZE_BYTES;
        else if (instrumentKind != Cells.KIND_PERPETUAL) size += 2 * CONTRACT_SIZE_BYTES;
        uint256 lotNanoCoin = Cells.read(size, 8);
        uint256 tickMicroUsd = Cells.read(size + 8, 8);
        Cells.write8(data, instrumentKind);
        Cells.write(data + Cells.INSTRUMENT_UNDERLYING, 2, underlying);
        Cells.write8(data + Cells.INSTRUMENT_STATUS, Cells.STATUS_LISTED);
        Cells.write(data + Cells.INSTRUMENT_EXPIRY_MS, 8, expiryMs);
        Cells.write(data + Cells.INSTRUMENT_STRIKE, 8, strike);
        Cells.write(data + Cells.INSTRUMENT_LOT_NANO_COIN, 8, lotNanoCoin);
        Cells.write(data + Cells.INSTRUMENT_TICK_MICRO_USD, 8, tickMicroUsd);
        // Exact for a valid parameter set.
        Cells.write(data + Cells.INSTRUMENT_TICK_VALUE, 4, lotNanoCoin * tickMicroUsd / NANO_PER_COIN);
    }
}
