// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cells} from "../lib/Cells.sol";
import {Limits} from "../lib/Limits.sol";
import {Parameters, ParameterReader} from "../lib/ParameterStore.sol";
import {PayloadReader} from "../lib/PayloadReader.sol";
import {RejectionCodes} from "../lib/RejectionCodes.sol";
import {RiskParametersDecoder} from "../lib/RiskParameters.sol";
import {CycleRule, Run} from "./CycleRule.sol";

/// @title admin: a change of the parameter set that L1 queued, once its delay is over
/// @notice packages/ledger/src/kinds/admin.ts. The change patches the set's encoding, in memory; the state then names the hash of
/// the patched bytes.
contract AdminRule is CycleRule {
    uint256 private constant LENGTH_BYTES = 2;
    uint256 private constant ORACLE = 0;
    uint256 private constant ORACLE_QUORUM = 1;
    uint256 private constant SCALARS = 16;

    function kind() public pure override returns (uint256) {
        return 12;
    }

    /// @dev length u16, change.
    function _decode(Run memory run) internal pure override returns (uint256 code, uint256 weight) {
        if (run.body + LENGTH_BYTES > run.end) return (RejectionCodes.MALFORMED, 0);
        uint256 length = PayloadReader.read(run.body, LENGTH_BYTES);
        bool isCanonical =
            length > 0 && length <= Limits.ADMIN_CHANGE_BYTES_MAX && run.body + LENGTH_BYTES + length == run.end;
        if (!isCanonical) return (RejectionCodes.MALFORMED, 0);
        return (0, run.length);
    }

    function _execute(Run memory run) internal pure override returns (uint256) {
        uint256 globals = run.state.globals;
        bytes32 pending = Cells.readWord(globals + Cells.GLOBALS_ADMIN_HASH);
        if (pending == 0) return RejectionCodes.ADMIN_NOTHING_PENDING;
        if (_changeHash(run) != pending) return RejectionCodes.ADMIN_OTHER_CHANGE;
        if (run.timeMs < Cells.read(globals + Cells.GLOBALS_ADMIN_MS, 8)) return RejectionCodes.ADMIN_TOO_EARLY;
        if (!_patch(run) || !_isValid(run.parameters)) return RejectionCodes.ADMIN_PARAMETERS_INVALID;
        Cells.writeWord(globals + Cells.GLOBALS_PARAMETERS_HASH, _hash(run.parameters));
        Cells.writeWord(globals + Cells.GLOBALS_ADMIN_HASH, 0);
        Cells.write(globals + Cells.GLOBALS_ADMIN_MS, 8, 0);
        return 0;
    }

    function _changeHash(Run memory run) private pure returns (bytes32 hash) {
        uint256 from = run.body + LENGTH_BYTES;
        uint256 length = run.end - from;
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, from, length)
            hash := keccak256(free, length)
        }
    }

    function _hash(Parameters memory parameters) private pure returns (bytes32 hash) {
        uint256 data = parameters.data;
        uint256 length = parameters.length;
        assembly ("memory-safe") {
            hash := keccak256(data, length)
        }
    }

    // ── change ─────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @dev count u8, (field u8, value)…, in their order; false where they are not items to the last byte.
    function _patch(Run memory run) private pure returns (bool) {
        uint256 item = run.body + LENGTH_BYTES;
        uint256 count = PayloadReader.read8(item);
        if (count == 0) return false;
        item += 1;
        for (uint256 i = 0; i < count; ++i) {
            item = _patchItem(run.parameters, item, run.end);
            if (item == 0) return false;
        }
        return item == run.end;
    }

    /// @return next 0 where the item is none
    function _patchItem(Parameters memory parameters, uint256 item, uint256 end) private pure returns (uint256 next) {
        if (item + 2 > end) return 0;
        uint256 field = PayloadReader.read8(item);
        if (field == ORACLE) {
            next = item + 22;
            if (next > end) return 0;
            uint256 index = PayloadReader.read8(item + 1);
            uint256 key = PayloadReader.readBig(item + 2, 20);
            if (index >= parameters.oracleCount || key == 0) return 0;
            Cells.writeAddress(parameters.oracles + 20 * index, address(uint160(key)));
        } else if (field == ORACLE_QUORUM) {
            next = item + 2;
            parameters.oracleQuorum = PayloadReader.read8(item + 1);
            // Behind the oracles in the encoding.
            Cells.write8(parameters.oracles + 20 * parameters.oracleCount, parameters.oracleQuorum);
        } else {
            next = item + 9;
            if (next > end || field < SCALARS || field >= SCALARS + ParameterReader.RISK_SCALAR_COUNT) return 0;
            // No field beyond 2^53 is read, whatever a later item makes of it.
            if (!PayloadReader.isSafeSigned(item + 1)) return 0;
            uint256 offset = parameters.risk + ParameterReader.RISK_SCALARS + 8 * (field - SCALARS);
            Cells.write(offset, 8, PayloadReader.read(item + 1, 8));
        }
    }

    /// @dev All that a change can touch; the rest of the set was valid before.
    function _isValid(Parameters memory parameters) private pure returns (bool isValid) {
        uint256 count = parameters.oracleCount;
        if (parameters.oracleQuorum == 0 || parameters.oracleQuorum > count) return false;
        for (uint256 i = 1; i < count; ++i) {
            for (uint256 j = 0; j < i; ++j) {
                if (ParameterReader.oracle(parameters, i) == ParameterReader.oracle(parameters, j)) return false;
            }
        }
        (isValid,) = RiskParametersDecoder.decode(parameters.risk, parameters.riskLength);
    }
}
