// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cells} from "../lib/Cells.sol";
import {Limits} from "../lib/Limits.sol";
import {Parameters, ParameterReader} from "../lib/ParameterStore.sol";
import {PayloadReader} from "../lib/PayloadReader.sol";
import {RejectionCodes} from "../lib/RejectionCodes.sol";
import {State, StateWitness} from "../lib/StateWitness.sol";
import {ICycleRule} from "./ICycleRule.sol";

/// @notice One run of a rule.
struct Run {
    State state;
    Parameters parameters;
    uint256 timeMs;
    /// @dev Calldata offsets of the payload's body and end.
    uint256 body;
    uint256 end;
    /// @dev Of the whole payload, in bytes.
    uint256 length;
}

/// @title What the rules of all kinds share
/// @notice Order of the checks: shape of the payload, general codes, the kind's own. The witness is compared with the root
/// whatever the kind's rule said, so that no verdict rests on cells of another state.
abstract contract CycleRule is ICycleRule {
    /// @inheritdoc ICycleRule
    function kind() public pure virtual returns (uint256);

    /// @inheritdoc ICycleRule
    function execute(address parameters, bytes32 preStateRoot, bytes calldata payload, bytes calldata witness)
        external
        view
        returns (uint256 code, bytes32 postStateRoot)
    {
        Run memory run;
        uint256 weight;
        (code, weight) = _open(run, payload);
        // No state makes an undecodable payload good.
        if (code != 0) return (code, 0);
        _loadState(run, parameters, witness);
        code = _generalCode(run, weight);
        if (code == 0) code = _execute(run);
        if (code == 0 && !StateWitness.setTotals(run.state)) code = RejectionCodes.LIMIT_EXCEEDED;
        if (code == 0) return (0, StateWitness.finish(run.state, preStateRoot, run.timeMs));
        StateWitness.verify(run.state, preStateRoot);
    }

    /// @inheritdoc ICycleRule
    function check(
        address parameters,
        bytes32 preStateRoot,
        bytes calldata payload,
        uint256 account,
        bytes calldata witness
    ) external view returns (uint256 code) {
        Run memory run;
        uint256 weight;
        (code, weight) = _open(run, payload);
        if (code != 0) return code;
        _loadState(run, parameters, witness);
        code = _generalCode(run, weight);
        if (code == 0) code = _check(run, account);
        StateWitness.verify(run.state, preStateRoot);
    }

    /// @inheritdoc ICycleRule
    function accountsOf(bytes calldata payload) external pure returns (uint256[] memory accounts) {
        Run memory run;
        (uint256 code,) = _open(run, payload);
        if (code == 0) accounts = _accounts(run);
    }

    /// @inheritdoc ICycleRule
    function isBounded() external pure virtual returns (bool) {
        return true;
    }

    function _open(Run memory run, bytes calldata payload) private pure returns (uint256 code, uint256 weight) {
        bool isKnown;
        uint256 payloadKind;
        (isKnown, payloadKind, run.timeMs, run.body, run.end) = PayloadReader.header(payload);
        if (!isKnown) return (RejectionCodes.MALFORMED, 0);
        if (payloadKind != kind()) revert KindMismatch(payloadKind);
        run.length = payload.length;
        // Ahead of the body: no transaction has gas to read one that is as long as a whole batch. No batch holds such a one.
        if (payload.length > Limits.CYCLE_BYTES_MAX) return (RejectionCodes.LIMIT_EXCEEDED, 0);
        return _decode(run);
    }

    function _loadState(Run memory run, address parameters, bytes calldata witness) private view {
        run.state = StateWitness.load(witness);
        run.parameters = ParameterReader.load(parameters);
        ParameterReader.requireOf(run.parameters, run.state.globals);
    }

    function _generalCode(Run memory run, uint256 weight) private pure returns (uint256) {
        uint256 stateTimeMs = Cells.read(run.state.globals + Cells.GLOBALS_TIME_MS, 8);
        return PayloadReader.generalCode(run.timeMs, stateTimeMs, run.length, weight);
    }

    /// @dev Shape of the body, and the cycle's weight when it has it.
    function _decode(Run memory run) internal pure virtual returns (uint256 code, uint256 weight);

    /// @dev Checks and writes the cells; they are dropped with a code.
    function _execute(Run memory run) internal view virtual returns (uint256 code);

    /// @dev Of a canonical payload: the accounts for which `_check` is not always 0.
    function _accounts(Run memory) internal pure virtual returns (uint256[] memory accounts) {
        return accounts;
    }

    /// @dev Kinds whose rule needs nothing beyond `execute` have nothing to add.
    function _check(Run memory, uint256) internal view virtual returns (uint256) {
        return 0;
    }
}
