// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccountList} from "../lib/AccountList.sol";
import {Cells} from "../lib/Cells.sol";
import {Limits} from "../lib/Limits.sol";
import {Margin, MarginFigures} from "../lib/Margin.sol";
import {PayloadReader} from "../lib/PayloadReader.sol";
import {RejectionCodes} from "../lib/RejectionCodes.sol";
import {Signatures} from "../lib/Signatures.sol";
import {Cell, StateWitness} from "../lib/StateWitness.sol";
import {Weights} from "../lib/Weights.sol";
import {CycleRule, Run} from "./CycleRule.sol";
import {OutboxWriter} from "./OutboxWriter.sol";
import {RingSlots} from "./RingSlots.sol";

/// @title outbound: withdrawals signed by the owner go from cash to the outbox
/// @notice packages/ledger/src/kinds/outbound.ts. Usable marks (1009) and what is withdrawable (1010) are shown at one
/// account, everything else by execution.
contract OutboundRule is CycleRule {
    using StateWitness for *;

    // Of one withdrawal.
    uint256 private constant POSITION_COUNT = 3;
    uint256 private constant ASSET = 4;
    uint256 private constant AMOUNT = 6;
    uint256 private constant DESTINATION_CHAIN = 14;
    uint256 private constant RECIPIENT = 22;
    uint256 private constant NONCE = 42;
    uint256 private constant EXPIRY_MS = 48;
    uint256 private constant SIGNATURE = 54;

    function kind() public pure override returns (uint256) {
        return 10;
    }

    function _decode(Run memory run) internal pure override returns (uint256 code, uint256 weight) {
        if (!PayloadReader.outbound(run.body, run.end)) return (RejectionCodes.MALFORMED, 0);
        uint256 root = 0;
        uint256 rule = 0;
        for (uint256 item = run.body + 1; item < run.end; item += PayloadReader.OUTBOUND_BYTES) {
            uint256 positionCount = PayloadReader.read8(item + POSITION_COUNT);
            root += Weights.outboundRoot(positionCount);
            uint256 weightOfOne = Weights.outboundRule(positionCount);
            if (weightOfOne > rule) rule = weightOfOne;
        }
        return (0, Weights.outbound(run.length, root, rule));
    }

    function _execute(Run memory run) internal view override returns (uint256) {
        for (uint256 item = run.body + 1; item < run.end; item += PayloadReader.OUTBOUND_BYTES) {
            (uint256 code, Cell memory account, bytes32 digest) = _itemCode(run, item);
            if (code != 0) return code;
            if (OutboxWriter.isFull(run.state)) return RejectionCodes.LIMIT_EXCEEDED;
            _pay(run, item, account, digest);
            OutboxWriter.append(
                run.state,
                account.index,
                PayloadReader.read(item + AMOUNT, 8),
                run.parameters.chainId,
                address(uint160(PayloadReader.readBig(item + RECIPIENT, 20)))
            );
        }
        return 0;
    }

    /// @dev The withdrawals of one account, its margin included. Of the others only the amounts matter here, and they are in
    /// the payload.
    function _check(Run memory run, uint256 account) internal view override returns (uint256) {
        uint256 total = run.state.globals + Cells.GLOBALS_OUTBOX_TOTAL;
        for (uint256 item = run.body + 1; item < run.end; item += PayloadReader.OUTBOUND_BYTES) {
            uint256 amount = PayloadReader.read(item + AMOUNT, 8);
            if (PayloadReader.read(item, 3) == account) {
                (uint256 code, Cell memory cell, bytes32 digest) = _itemCode(run, item);
                if (code == 0) code = _marginCode(run, cell, amount);
                if (code != 0) return code;
                _pay(run, item, cell, digest);
            }
            // Amounts are below 2^53 and at most eight: the sum fits its field.
            Cells.write(total, 8, Cells.read(total, 8) + amount);
        }
        return 0;
    }

    function _accounts(Run memory run) internal pure override returns (uint256[] memory accounts) {
        accounts = AccountList.empty(PayloadReader.read8(run.body));
        for (uint256 item = run.body + 1; item < run.end; item += PayloadReader.OUTBOUND_BYTES) {
            AccountList.add(accounts, PayloadReader.read(item, 3));
        }
    }

    function _itemCode(Run memory run, uint256 item)
        private
        view
        returns (uint256 code, Cell memory account, bytes32 digest)
    {
        uint256 number = PayloadReader.read(item, 3);
        account = run.state.accounts.find(number);
        if (account.length == 0 || number <= Limits.INSURANCE_ACCOUNT) {
            return (RejectionCodes.OUTBOUND_UNKNOWN_ACCOUNT, account, 0);
        }
        if (Cells.positionCount(account.data) != PayloadReader.read8(item + POSITION_COUNT)) {
            return (RejectionCodes.OUTBOUND_POSITION_COUNT, account, 0);
        }
        bool isPayable = PayloadReader.read(item + ASSET, 2) == 0
            && PayloadReader.read(item + DESTINATION_CHAIN, 8) == run.parameters.chainId;
        uint256 recipient = PayloadReader.readBig(item + RECIPIENT, 20);
        if (recipient == 0 || recipient == run.parameters.custody) isPayable = false;
        if (!isPayable) return (RejectionCodes.OUTBOUND_DOMAIN_OR_ASSET, account, 0);
        if (run.timeMs >= PayloadReader.read(item + EXPIRY_MS, 6)) {
            return (RejectionCodes.OUTBOUND_EXPIRED, account, 0);
        }
        digest = _digest(run, item);
        code = _authorisationCode(run, item, account, digest);
    }

    function _authorisationCode(Run memory run, uint256 item, Cell memory account, bytes32 digest)
        private
        view
        returns (uint256)
    {
        uint256 nonce = PayloadReader.read(item + NONCE, 6);
        if (nonce < Cells.read(Cells.tail(account.data) + Cells.TAIL_MIN_NONCE, 6)) {
            return RejectionCodes.OUTBOUND_BELOW_MIN_NONCE;
        }
        if (RingSlots.isTaken(run, account.ring.find(nonce % Limits.RING_SLOTS), nonce)) {
            return RejectionCodes.OUTBOUND_RING_SLOT;
        }
        address signer = Signatures.recover(digest, item + SIGNATURE);
        if (signer == address(0) || signer != Cells.readAddress(account.data + Cells.ACCOUNT_OWNER)) {
            return RejectionCodes.OUTBOUND_NOT_AUTHORISED;
        }
        if (Cells.credit(account.data) > 0) return RejectionCodes.OUTBOUND_CREDIT_OUTSTANDING;
        bool isPossible = !OutboxWriter.hasBadDebt(run.state)
            && OutboxWriter.isInVault(run.state, PayloadReader.read(item + AMOUNT, 8));
        return isPossible ? 0 : RejectionCodes.OUTBOUND_BAD_DEBT;
    }

    function _digest(Run memory run, uint256 item) private pure returns (bytes32) {
        bytes32 structHash = keccak256(
            abi.encode(
                Signatures.WITHDRAWAL_TYPE_HASH,
                run.parameters.domain,
                PayloadReader.read(item, 3),
                PayloadReader.read(item + ASSET, 2),
                PayloadReader.read(item + AMOUNT, 8),
                PayloadReader.read(item + DESTINATION_CHAIN, 8),
                PayloadReader.readBig(item + RECIPIENT, 20),
                PayloadReader.read(item + NONCE, 6),
                PayloadReader.read(item + EXPIRY_MS, 6)
            )
        );
        return Signatures.digest(run.parameters.separator, structHash);
    }

    function _marginCode(Run memory run, Cell memory account, uint256 amount) private pure returns (uint256) {
        MarginFigures memory figures = Margin.figuresOf(run.state, account.data, run.parameters, run.timeMs);
        if (!figures.marksUsable) return RejectionCodes.OUTBOUND_MARKS_UNUSABLE;
        bool isWithdrawable = amount > 0 && int256(amount) <= Margin.withdrawable(figures);
        return isWithdrawable ? 0 : RejectionCodes.OUTBOUND_NOT_WITHDRAWABLE;
    }

    /// @dev Cash and ring slot. Cash that would leave its bound stays: the withdrawal was not withdrawable then.
    function _pay(Run memory run, uint256 item, Cell memory account, bytes32 digest) private pure {
        uint256 nonce = PayloadReader.read(item + NONCE, 6);
        int256 amount = int256(PayloadReader.read(item + AMOUNT, 8));
        Cells.addCash(account.data, -amount);
        Cell memory slot = account.ring.find(nonce % Limits.RING_SLOTS);
        RingSlots.write(run, slot, nonce, digest, 1, -amount);
    }
}
