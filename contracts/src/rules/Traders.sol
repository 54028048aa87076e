// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cells} from "../lib/Cells.sol";
import {Signatures} from "../lib/Signatures.sol";
import {Cell} from "../lib/StateWitness.sol";

/// @title Who may trade for an account
/// @notice packages/ledger/src/authorise.ts.
library Traders {
    uint256 private constant SCOPE_TRADE = 1;

    /// @notice Whether the signature at calldata offset `signature` is the owner's or that of a delegate with trade scope whose key
    /// lasts until `expiryMs`: its expiry then ends everything that it signed.
    function hasSigned(Cell memory account, bytes32 digest, uint256 signature, uint256 expiryMs)
        internal
        view
        returns (bool)
    {
        unchecked {
            address signer = Signatures.recover(digest, signature);
            if (signer == address(0)) return false;
            if (signer == Cells.readAddress(account.data + Cells.ACCOUNT_OWNER)) return true;
            uint256 delegate = account.data + Cells.ACCOUNT_DELEGATES;
            uint256 end = Cells.tail(account.data);
            for (; delegate < end; delegate += Cells.DELEGATE_BYTES) {
                if (
                    Cells.readAddress(delegate) == signer
                        && Cells.read8(delegate + Cells.DELEGATE_SCOPES) & SCOPE_TRADE != 0
                        && Cells.read(delegate + Cells.DELEGATE_EXPIRY_MS, 8) >= expiryMs
                ) return true;
            }
            return false;
        }
    }
}
