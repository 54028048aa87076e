// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cells} from "../lib/Cells.sol";
import {Limits} from "../lib/Limits.sol";
import {ParameterReader} from "../lib/ParameterStore.sol";
import {PayloadReader} from "../lib/PayloadReader.sol";
import {RejectionCodes} from "../lib/RejectionCodes.sol";
import {Cell, StateWitness} from "../lib/StateWitness.sol";
import {Weights} from "../lib/Weights.sol";
import {Credits} from "./Credits.sol";
import {CycleRule, Run} from "./CycleRule.sol";

/// @title credit: finality credit for a deposit that is not final yet, granted, settled or revoked
/// @notice packages/ledger/src/kinds/credit.ts. That the deposit exists is not judged here.
contract CreditRule is CycleRule {
    using StateWitness for *;

    int256 private constant BILLION = 1e9;
    uint256 private constant GRANT = 0;
    uint256 private constant SETTLE = 1;
    uint256 private constant REVOKE = 2;

    // Of the body.
    uint256 private constant ACCOUNT = 1;
    /// @dev All of a settle or a revoke.
    uint256 private constant HEAD_BYTES = 4;
    uint256 private constant AMOUNT = 4;
    uint256 private constant QUEUE_INDEX = 12;
    uint256 private constant GRANT_BYTES = 20;

    function kind() public pure override returns (uint256) {
        return 11;
    }

    function _decode(Run memory run) internal pure override returns (uint256 code, uint256 weight) {
        if (!_isCanonical(run.body, run.end)) return (RejectionCodes.MALFORMED, 0);
        return (0, Weights.credit(run.length));
    }

    /// @dev op u8; 0: account u24, amount u64, queueIndex u64; 1 and 2: account u24.
    function _isCanonical(uint256 body, uint256 end) private pure returns (bool) {
        if (body + HEAD_BYTES > end) return false;
        uint256 op = PayloadReader.read8(body);
        if (op == SETTLE || op == REVOKE) return body + HEAD_BYTES == end;
        return op == GRANT && body + GRANT_BYTES == end && PayloadReader.isSafeUnsigned(body + AMOUNT)
            && PayloadReader.isSafeUnsigned(body + QUEUE_INDEX);
    }

    function _execute(Run memory run) internal pure override returns (uint256 code) {
        Cell memory account = run.state.accounts.find(PayloadReader.read(run.body + ACCOUNT, 3));
        if (account.length == 0 || account.index <= Limits.INSURANCE_ACCOUNT) {
            return RejectionCodes.CREDIT_UNKNOWN_ACCOUNT;
        }
        int256 credit = Cells.credit(account.data);
        uint256 op = PayloadReader.read8(run.body);
        uint256 cursor = Cells.read(run.state.globals + Cells.GLOBALS_INBOUND_CURSOR, 8);
        if (op == GRANT) return credit == 0 ? _grant(run, account, cursor) : RejectionCodes.CREDIT_OUTSTANDING;
        if (credit == 0) return RejectionCodes.CREDIT_NONE;
        uint256 queueIndex = Cells.read(Cells.tail(account.data) + Cells.TAIL_CREDIT_INDEX, 8);
        if (op == SETTLE && queueIndex >= cursor) return RejectionCodes.CREDIT_NOT_CONSUMED;
        Credits.clear(run.state, account);
    }

    function _grant(Run memory run, Cell memory account, uint256 cursor) private pure returns (uint256) {
        uint256 queueIndex = PayloadReader.read(run.body + QUEUE_INDEX, 8);
        if (queueIndex < cursor) return RejectionCodes.CREDIT_SOURCE;
        uint256 amount = PayloadReader.read(run.body + AMOUNT, 8);
        int256 most = ParameterReader.scalar(run.parameters, ParameterReader.CREDIT_ACCOUNT_MAX_MICRO_USDC);
        if (amount == 0 || int256(amount) > most) return RejectionCodes.CREDIT_ACCOUNT_LIMIT;
        int256 total = Cells.readSigned64(run.state.globals + Cells.GLOBALS_CREDIT_TOTAL);
        if (total + int256(amount) > _poolLimitFloor(run)) return RejectionCodes.CREDIT_POOL_LIMIT;
        Credits.grant(run.state, account, amount, queueIndex);
        return 0;
    }

    /// @dev Floor: a share of what the insurance holds beyond the bad debt that it owes.
    function _poolLimitFloor(Run memory run) private pure returns (int256) {
        Cell memory insurance = run.state.accounts.find(Limits.INSURANCE_ACCOUNT);
        // The insurance exists in every valid state.
        if (insurance.length == 0) revert StateWitness.CellMissing(Limits.INSURANCE_ACCOUNT);
        int256 badDebt = Cells.readSigned64(run.state.globals + Cells.GLOBALS_BAD_DEBT);
        int256 free = Cells.cash(insurance.data) - badDebt;
        if (free <= 0) return 0;
        return free * ParameterReader.scalar(run.parameters, ParameterReader.CREDIT_POOL_FACTOR_PPB) / BILLION;
    }
}
