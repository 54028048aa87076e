// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Parameters, ParameterReader} from "../lib/ParameterStore.sol";
import {PayloadReader} from "../lib/PayloadReader.sol";
import {Signatures} from "../lib/Signatures.sol";

/// @title Quorums of oracles
library Quorum {
    /// @notice Whether the signatures at calldata offset `offset` (count u8, (signer u8, signature 64)…) are exactly oracleQuorum,
    /// by strictly increasing signers, each of that oracle's key.
    function signed(Parameters memory parameters, bytes32 structHash, uint256 offset) internal view returns (bool) {
        uint256 count = PayloadReader.read8(offset);
        if (count != parameters.oracleQuorum) return false;
        bytes32 digest = Signatures.digest(parameters.separator, structHash);
        offset += 1;
        uint256 floor = 0;
        for (uint256 i = 0; i < count; ++i) {
            uint256 signer = PayloadReader.read8(offset);
            if (signer < floor || signer >= parameters.oracleCount) return false;
            address recovered = Signatures.recover(digest, offset + 1);
            if (recovered == address(0) || recovered != ParameterReader.oracle(parameters, signer)) return false;
            floor = signer + 1;
            offset += PayloadReader.QUORUM_SIGNATURE_BYTES;
        }
        return true;
    }
}
